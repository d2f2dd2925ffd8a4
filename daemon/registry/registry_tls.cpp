#include "daemon/registry/registry_tls.h"

#include <fmt/format.h>
#include <openssl/err.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <variant>
#include <vector>

#include "daemon/tls/openssl_client.h"

namespace brokerd {
namespace {

/// Ours: several records are taken from the socket with one read.
constexpr std::size_t kReadBufferBytes = std::size_t{64} << 10;

Failure<RegistryError> unusable(const std::string& file, std::string_view must,
                                const std::string& reason = last_openssl_reason()) {
    return fail(RegistryError{
        RegistryErrorKind::io, fmt::format("the file {} cannot be used: {}; {}", file, reason, must), false, {}});
}

/// Has `load` read the file, which must be as `must` says.
template <class Load>
RegistryResult<std::monostate> load_pem(const std::string& file, std::string_view must, const Load& load) {
    if (const auto problem = pem_problem(file, load)) return unusable(file, must, *problem);
    return std::monostate{};
}

}  // namespace

RegistryResult<SSL_CTX*> RegistryTls::context_for(const Url& url, bool verify) {
    const std::lock_guard lock{mutex_};
    const std::string key = url.host_and_port() + (verify ? "" : " unverified");
    auto at = contexts_.find(key);
    if (at == contexts_.end()) {
        auto made = make(url, verify);
        if (!made) return fail(made.error());
        at = contexts_.emplace(key, std::move(*made)).first;
    }
    return at->second.get();
}

RegistryResult<RegistryTls::Context> RegistryTls::make(const Url& url, bool verify) const {
    ERR_clear_error();
    Context context{SSL_CTX_new(TLS_client_method())};
    if (!context) return unusable("of OpenSSL's configuration", "check the installation");
    // RFC 8996: TLS 1.0 and 1.1 must not be used.
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context.get(), 1);
    SSL_CTX_set_default_read_buffer_len(context.get(), kReadBufferBytes);
    SSL_CTX_set_verify(context.get(), verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    if (verify && SSL_CTX_set_default_verify_paths(context.get()) != 1)
        return unusable("of the system's certificate store", "install ca-certificates");
    // HOST as image references have it: without the port where it is the default one, or with it.
    for (const std::string& name : {url.authority(), url.host_and_port()}) {
        const std::string directory = certs_dir_ + '/' + name;
        std::error_code code;
        if (!std::filesystem::is_directory(directory, code)) continue;
        if (const auto loaded = load_directory(*context, directory); !loaded) return fail(loaded.error());
        break;
    }
    return context;
}

RegistryResult<std::monostate> RegistryTls::load_directory(SSL_CTX& context, const std::string& directory) const {
    std::vector<std::string> files;
    std::error_code code;
    for (std::filesystem::directory_iterator at{directory, code}, end; !code && at != end; at.increment(code)) {
        files.push_back(at->path().string());
    }
    if (code) {
        return fail(RegistryError{RegistryErrorKind::io,
                                  fmt::format("the directory {} cannot be read: {}", directory, code.message()),
                                  false,
                                  {}});
    }
    std::sort(files.begin(), files.end());
    refuse_passphrases(context);
    for (const std::string& file : files) {
        if (file.ends_with(".crt")) {
            const auto loaded = load_pem(file, "it must be a readable PEM file of certificates",
                                         [&](const char* path) { return SSL_CTX_load_verify_file(&context, path); });
            if (!loaded) return loaded;
        }
        if (!file.ends_with(".cert")) continue;
        const std::string key = file.substr(0, file.size() - 5) + ".key";
        const auto certificate =
            load_pem(file, "it must be a readable PEM file, the client certificate first",
                     [&](const char* path) { return SSL_CTX_use_certificate_chain_file(&context, path); });
        if (!certificate) return certificate;
        const auto its_key =
            load_pem(key, fmt::format("it must be the readable, unencrypted PEM key of {}", file),
                     [&](const char* path) { return SSL_CTX_use_PrivateKey_file(&context, path, SSL_FILETYPE_PEM); });
        if (!its_key) return its_key;
    }
    return std::monostate{};
}

}  // namespace brokerd
