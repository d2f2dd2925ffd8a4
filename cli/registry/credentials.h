#pragma once

#include <string>
#include <string_view>

namespace brokerd::cli {

/// What to tell the daemon for a registry, and the user.
struct RegistryAuth {
    std::string header;   ///< the value of X-Registry-Auth, empty where there are no credentials. A secret.
    std::string warning;  ///< why credentials that may exist are not used, in one sentence; empty for no trouble
};

/// The credentials of exactly the registry `domain` ("docker.io", "localhost:5000"), as `docker login` left them:
/// `directory`/config.json (`auths`, `credHelpers`, `credsStore`). `directory` is $DOCKER_CONFIG or ~/.docker; empty:
/// no credentials. A helper runs as a child, `docker-credential-NAME get`, with bounds on time and output.
[[nodiscard]] RegistryAuth registry_auth(const std::string& directory, std::string_view domain);

}  // namespace brokerd::cli
