#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/registry/registry_connection.h"
#include "daemon/registry/registry_error.h"

namespace brokerd {

/// How much of an error's body is read.
inline constexpr std::size_t kMaxErrorBytes = std::size_t{64} << 10;

/// What a registry said, fit for a terminal and a log: control characters and bytes beyond ASCII escaped, at most
/// `limit` bytes.
[[nodiscard]] std::string printable_reply(std::string_view text, std::size_t limit = 300);

/// 408, 429, 500, 502, 503, 504: the same request may work later.
[[nodiscard]] bool is_transient_status(unsigned status) noexcept;

/// Retry-After (RFC 9110 10.2.3): seconds, or a date of which `now` is taken off. 0 where it is neither.
[[nodiscard]] std::chrono::milliseconds parse_retry_after(std::string_view value,
                                                          std::chrono::system_clock::time_point now);

/// What an answer with an error status means. `body`: JSON as OCI distribution-spec 1.1, "Error Codes", has it, or
/// anything else, which is then left out. `asked_with_credentials` decides how a 401 is told. `secrets` are hidden:
/// there are servers that repeat what they refuse.
[[nodiscard]] RegistryError error_of(const HttpAnswer& answer, std::string_view body, std::string_view host,
                                     bool asked_with_credentials, const std::vector<std::string>& secrets = {});

}  // namespace brokerd
