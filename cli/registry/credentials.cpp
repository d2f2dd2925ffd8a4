// Docker's rule, with one thing left out: credentials are looked up for the registry that the reference names and for
// no other, so that a mirror or a redirect never sees them (LESSONS: "credentials are offered to every host in the
// list").
#include "cli/registry/credentials.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>

#include "cli/registry/credential_helper.h"
#include "common/base64.h"
#include "common/json.h"
#include "common/os/system_error.h"
#include "common/os/unique_fd.h"

namespace brokerd::cli {
namespace {

using namespace std::chrono_literals;

/// Ours: a config.json with a hundred registries has 20 KiB.
constexpr std::size_t kMaxConfigBytes = 1u << 20;
/// Ours: long enough for a user to type a passphrase into the helper's own window.
constexpr std::chrono::milliseconds kHelperTime = 120s;
/// Docker's key for its own registry, from the time of the registry's first version.
constexpr std::string_view kDockerDomain = "docker.io";
constexpr std::string_view kDockerKey = "https://index.docker.io/v1/";

/// The whole file; nothing where there is none.
Result<std::optional<std::string>> read_config(const std::string& path) {
    const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (!file && (errno == ENOENT || errno == ENOTDIR)) return std::optional<std::string>{};
    if (!file) return fail(errno_text(errno));
    std::string out;
    std::array<char, 16384> piece;
    for (;;) {
        const ssize_t count = ::read(file.get(), piece.data(), piece.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail(errno_text(errno));
        if (count == 0) return std::optional{std::move(out)};
        out.append(piece.data(), static_cast<std::size_t>(count));
        if (out.size() > kMaxConfigBytes) return fail(fmt::format("it has more than {} bytes", kMaxConfigBytes));
    }
}

/// The host in a key of `auths`: old clients wrote a URL.
std::string_view host_of(std::string_view key) {
    for (const std::string_view scheme : {"https://", "http://"}) {
        if (key.substr(0, scheme.size()) == scheme) key.remove_prefix(scheme.size());
    }
    return key.substr(0, key.find('/'));
}

const rapidjson::Value* member(const rapidjson::Value& object, std::string_view key) {
    if (!object.IsObject()) return nullptr;
    const auto found = object.FindMember(
        rapidjson::Value{rapidjson::StringRef(key.data(), static_cast<rapidjson::SizeType>(key.size()))});
    return found == object.MemberEnd() ? nullptr : &found->value;
}

/// An entry of `auths`. The error names what is wrong, never what it holds.
Result<Credentials> credentials_of(const rapidjson::Value& entry) {
    Credentials out{string_member(entry, "username"), string_member(entry, "password"),
                    string_member(entry, "identitytoken"), string_member(entry, "registrytoken")};
    const std::string packed = string_member(entry, "auth");
    if (packed.empty()) return out;
    const auto plain = base64_decoded(packed);
    const std::size_t colon = plain ? plain->find(':') : std::string::npos;
    if (colon == std::string::npos) return fail("its \"auth\" is not USER:PASSWORD in base64");
    out.user = plain->substr(0, colon);
    out.password = plain->substr(colon + 1);
    out.password.erase(out.password.find_last_not_of('\0') + 1);  // Docker's old versions padded it
    return out;
}

/// What the config says of `domain`, whose own key is `key`.
Result<Credentials> find(const rapidjson::Document& config, std::string_view domain, std::string_view key) {
    if (const auto* helpers = member(config, "credHelpers")) {
        for (const std::string_view name : {key, domain}) {
            const auto* helper = member(*helpers, name);
            if (helper != nullptr && helper->IsString()) {
                return ask_credential_helper(helper->GetString(), key, kHelperTime);
            }
        }
    }
    const std::string store = string_member(config, "credsStore");
    if (!store.empty()) return ask_credential_helper(store, key, kHelperTime);
    const auto* auths = member(config, "auths");
    if (auths == nullptr || !auths->IsObject()) return Credentials{};
    if (const auto* entry = member(*auths, key)) return credentials_of(*entry);
    for (const auto& entry : auths->GetObject()) {
        if (host_of({entry.name.GetString(), entry.name.GetStringLength()}) == host_of(key)) {
            return credentials_of(entry.value);
        }
    }
    return Credentials{};
}

std::string header_of(const Credentials& credentials, std::string_view server) {
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    const auto add = [&](std::string_view name, const std::string& value) {
        if (!value.empty()) write_member(writer, name, value);
    };
    writer.StartObject();
    if (credentials.identity_token.empty()) {
        add("username", credentials.user);
        add("password", credentials.password);
    }
    add("identitytoken", credentials.identity_token);
    add("registrytoken", credentials.registry_token);
    write_member(writer, "serveraddress", server);
    writer.EndObject();
    return base64url_encoded({buffer.GetString(), buffer.GetSize()});
}

}  // namespace

RegistryAuth registry_auth(const std::string& directory, std::string_view domain) {
    if (directory.empty()) return {};
    const std::string path = directory + "/config.json";
    const auto unused = [&](std::string_view reason) {
        return RegistryAuth{{}, fmt::format("no credentials for {} from {}: {}", domain, path, reason)};
    };
    const auto text = read_config(path);
    if (!text) return unused(text.error().message);
    if (!*text) return {};
    const auto config = parse_json(**text);
    if (!config) {
        return unused(
            fmt::format("line {}, column {}: {}", config.error().line, config.error().column, config.error().message));
    }
    if (!config->IsObject()) return unused("it is not a JSON object");
    const std::string_view key = domain == kDockerDomain ? kDockerKey : domain;
    const auto credentials = find(*config, domain, key);
    if (!credentials) return unused(credentials.error().message);
    if (credentials->empty()) return {};
    return {header_of(*credentials, key), {}};
}

}  // namespace brokerd::cli
