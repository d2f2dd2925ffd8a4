#pragma once

#include <openssl/ssl.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "daemon/registry/registry_error.h"
#include "daemon/registry/url.h"

namespace brokerd {

/// The TLS contexts of one job: one for each host, with the system's authorities, and the authorities and client
/// certificate that the operator keeps for that host (Docker's documentation, "Verify repository client with
/// certificates": DIR/HOST[:PORT]/*.crt, *.cert with *.key). Read once a job, so that a renewed file counts for the
/// next. Thread: any.
class RegistryTls {
public:
    explicit RegistryTls(std::string certs_dir) : certs_dir_{std::move(certs_dir)} {}

    /// Valid as long as this object. The error names file and cause.
    [[nodiscard]] RegistryResult<SSL_CTX*> context_for(const Url& url, bool verify);

private:
    struct Free {
        void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
    };
    using Context = std::unique_ptr<SSL_CTX, Free>;

    [[nodiscard]] RegistryResult<Context> make(const Url& url, bool verify) const;
    [[nodiscard]] RegistryResult<std::monostate> load_directory(SSL_CTX& context, const std::string& directory) const;

    const std::string certs_dir_;
    std::mutex mutex_;
    std::map<std::string, Context> contexts_;  ///< by HOST:PORT and whether it verifies
};

}  // namespace brokerd
