#include "daemon/registry/registry_credentials.h"

#include <algorithm>

#include "common/base64.h"
#include "common/json.h"
#include "daemon/registry/registry_settings.h"
#include "daemon/registry/url.h"

namespace brokerd {
namespace {

/// Ours: tokens are a few KiB; the whole header is bounded by the control server too.
constexpr std::size_t kMaxHeaderBytes = std::size_t{64} << 10;
constexpr const char* kRemedy =
    "the header X-Registry-Auth cannot be read: it must be base64url of a JSON object with username and password, "
    "identitytoken or registrytoken";

bool is_docker_name(std::string_view host) {
    return host == kDockerDomain || host == "index.docker.io" || host == kDockerRegistryHost;
}

}  // namespace

Result<RegistryCredentials> RegistryCredentials::from_header(std::string_view header) {
    if (header.empty()) return RegistryCredentials{};
    if (header.size() > kMaxHeaderBytes) return fail("the header X-Registry-Auth is larger than 64 KiB");
    const auto text = base64_decoded(header);
    if (!text) return fail(kRemedy);
    const auto document = parse_json(*text);
    if (!document) return fail(kRemedy);
    if (document->IsNull()) return RegistryCredentials{};
    if (!document->IsObject()) return fail(kRemedy);
    RegistryCredentials credentials{string_member(*document, "username"), string_member(*document, "password"),
                                    string_member(*document, "identitytoken"),
                                    string_member(*document, "registrytoken"),
                                    string_member(*document, "serveraddress")};
    // It becomes a part of a request's head as it is.
    const auto is_visible = [](char c) { return c > 0x20 && c < 0x7f; };
    if (!std::all_of(credentials.registry_token.begin(), credentials.registry_token.end(), is_visible))
        return fail(kRemedy);
    // Older clients send both at once, base64 of USER:PASSWORD.
    if (const std::string both = string_member(*document, "auth"); !both.empty() && credentials.username.empty()) {
        const auto pair = base64_decoded(both);
        const std::size_t colon = pair ? pair->find(':') : std::string::npos;
        if (colon == std::string::npos) return fail(kRemedy);
        credentials.username = pair->substr(0, colon);
        credentials.password = pair->substr(colon + 1);
    }
    return credentials;
}

std::vector<std::string> RegistryCredentials::secrets() const {
    std::vector<std::string> all;
    if (!password.empty()) all = {base64_encoded(username + ':' + password), password};
    for (const std::string& token : {identity_token, registry_token}) {
        if (!token.empty()) all.push_back(token);
    }
    return all;
}

bool RegistryCredentials::belong_to(std::string_view domain) const {
    if (server_address.empty()) return true;
    const bool is_url = server_address.find("://") != server_address.npos;
    std::string address = is_url ? server_address : "https://" + server_address;
    const auto mine = Url::parse(address);
    const auto theirs = Url::of_authority(mine ? mine->https : true, domain);
    if (!mine || !theirs) return false;
    if (is_docker_name(mine->host) && is_docker_name(theirs->host)) return mine->port == theirs->port;
    return mine->host == theirs->host && mine->port == theirs->port;
}

}  // namespace brokerd
