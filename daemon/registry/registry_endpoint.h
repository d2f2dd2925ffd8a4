#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/registry/auth_challenge.h"
#include "daemon/registry/http_pool.h"
#include "daemon/registry/registry_credentials.h"
#include "daemon/registry/token_service.h"

namespace brokerd {

/// What a request wants to do, as token services are told ("Token scope documentation" of Docker's registry).
struct RegistryScope {
    std::string path;  ///< the repository
    bool push = false;
    std::string from;  ///< another repository to read from, may be empty

    /// `plugin_class`: as "repository(plugin)", which Docker's own token service wants for plugins.
    [[nodiscard]] std::vector<std::string> texts(bool plugin_class) const;
};

/// One registry or mirror: where it is, whether it speaks TLS, and how it wants to know who asks. Credentials go to
/// this origin and to the token service that it names, and nowhere else. Thread: any; the lock is held while the scheme
/// is found out and while a token is fetched, so that it happens once.
class RegistryEndpoint {
public:
    /// `url` says where; `fixed`: with exactly this scheme (a mirror's URL). Otherwise https, and for insecure hosts
    /// http where it is not TLS that answers.
    RegistryEndpoint(HttpPool& pool, const RegistrySettings& settings, Url url, bool fixed,
                     RegistryCredentials credentials);

    /// HOST[:PORT] as the user knows it.
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] bool has_credentials() const noexcept { return !credentials_.empty(); }

    /// What the registry is told that nobody else may see: of the user, and the tokens got for them.
    [[nodiscard]] std::vector<std::string> secrets();

    /// Where requests go, its target "/". Connects, the first time, where the scheme is not known.
    [[nodiscard]] RegistryResult<Url> base();

    /// The value of Authorization for a request, empty where none is known to be needed.
    [[nodiscard]] RegistryResult<std::string> authorization(const RegistryScope& scope);
    /// A request with `used` was accepted.
    void note_accepted(const RegistryScope& scope, const std::string& used);
    /// Whether a request that was denied with `used` is worth another one, without the plugin class.
    [[nodiscard]] bool was_denied(const RegistryScope& scope, const std::string& used);
    /// Gets another authorization after a 401 to a request with `used` (may be empty). An error where there is no
    /// other: `refusal` is what the registry said.
    [[nodiscard]] RegistryResult<std::monostate> renew(const RegistryScope& scope, const std::string& used,
                                                       const HttpAnswer& answer, const RegistryError& refusal);

private:
    struct Bearer {
        RegistryToken token;
        bool with_class = false;
        bool accepted = false;  ///< it has worked: a 401 then means that it expired
    };
    struct Challenge {
        Url realm;
        std::string service;
    };

    [[nodiscard]] RegistryResult<Url> find_scheme();
    [[nodiscard]] RegistryResult<std::monostate> use_basic(const std::string& used, const RegistryError& refusal);
    [[nodiscard]] RegistryResult<std::monostate> use_bearer(const RegistryScope& scope, const std::string& used,
                                                            const AuthChallenge& challenge,
                                                            const RegistryError& refusal);
    [[nodiscard]] RegistryResult<Challenge> read_bearer(const AuthChallenge& challenge) const;
    [[nodiscard]] RegistryResult<std::monostate> fetch(const RegistryScope& scope);
    [[nodiscard]] static std::string key_of(const RegistryScope& scope);
    [[nodiscard]] std::string header_of(const std::string& key) const;

    HttpPool& pool_;
    const RegistrySettings& settings_;
    const RegistryCredentials credentials_;
    const std::string name_;

    std::mutex mutex_;
    Url url_;
    bool scheme_known_;
    bool plugin_class_ = true;
    std::string basic_;  ///< the header, once the registry has asked for it
    std::optional<Challenge> challenge_;
    std::map<std::string, Bearer> tokens_;
};

}  // namespace brokerd
