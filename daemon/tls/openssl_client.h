#pragma once

#include <openssl/ssl.h>

#include <optional>
#include <string>

#include "common/os/regular_file.h"

// What every TLS client of brokerd's, to plugins and to registries, needs of OpenSSL.

namespace brokerd {

/// Why OpenSSL's last call on this thread failed, in OpenSSL's or the system's words.
[[nodiscard]] std::string last_openssl_reason();

/// A private key with a passphrase fails to load. OpenSSL would ask whoever sits at the terminal for it, and whatever
/// waits for the key would wait for them.
void refuse_passphrases(SSL_CTX& context);

/// The server is asked for `host`, a name or an address, and its certificate must be for that. False: it cannot be made
/// sure, and the connection must not be made; any certificate of the authority would do.
[[nodiscard]] bool require_name(SSL& ssl, const std::string& host);

/// Has `load` read the PEM file, as OpenSSL's functions that take a path do; why it cannot be used, or nothing.
template <class Load>
[[nodiscard]] std::optional<std::string> pem_problem(const std::string& file, const Load& load) {
    const auto opened = RegularFile::open(file, kMaxPemBytes);
    if (!opened) return opened.error().message;
    if (load(opened->path().c_str()) == 1) return std::nullopt;
    return last_openssl_reason();
}

}  // namespace brokerd
