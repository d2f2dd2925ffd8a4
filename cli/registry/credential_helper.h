#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"

namespace brokerd::cli {

struct Credentials {
    std::string user;
    std::string password;
    std::string identity_token;  ///< in place of user and password
    std::string registry_token;  ///< sent to the registry as it is

    [[nodiscard]] bool empty() const noexcept {
        return user.empty() && password.empty() && identity_token.empty() && registry_token.empty();
    }
};

/// Asks `docker-credential-NAME get` (docs.docker.com, "docker login", Credential helper protocol) for the credentials
/// of `server`; none where it has none. At most `time`, which includes a user's who is asked for a passphrase. The
/// error says nothing of what the helper printed: that may be a secret.
[[nodiscard]] Result<Credentials> ask_credential_helper(std::string_view name, std::string_view server,
                                                        std::chrono::milliseconds time);

}  // namespace brokerd::cli
