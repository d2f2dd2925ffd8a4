#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace brokerd::cli {

/// Another host as ssh reaches it, with nothing in it that ssh, its configuration or a shell could take for more than a
/// name: all of it becomes words of command lines, here and, through ssh's own %h and %r, wherever its configuration
/// puts them.
struct SshAddress {
    std::string user;  ///< empty: ssh's choice
    std::string host;
    std::optional<std::uint16_t> port;
    std::string socket_path;  ///< of brokerd's control socket there; empty: what pluginctl there takes

    /// "ssh://[USER@]HOST[:PORT][/SOCKET]", an IPv6 address in brackets. The error says what to write.
    [[nodiscard]] static Result<SshAddress> parse(std::string_view text);
};

/// Who waits for what ssh is to bring: a person, whom it may ask for a password, or the completion of a command line,
/// which must neither ask nor wait for a host that does not answer.
enum class SshUse { person, completion };

/// The command line that runs pluginctl there, which then carries bytes between its standard streams and brokerd.
[[nodiscard]] std::vector<std::string> ssh_command(const SshAddress& address, SshUse use);

}  // namespace brokerd::cli
