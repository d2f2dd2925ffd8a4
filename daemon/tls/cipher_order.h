#pragma once

#include <openssl/ssl.h>

namespace brokerd {

/// Offers the ciphers that `context` allows (by OpenSSL's and the host's policy) in the order that is fastest here:
/// with AES in hardware, AES-128-GCM first; without, ChaCha20. All of them are strong; none is added or removed.
void prefer_fast_ciphers(SSL_CTX* context);

}  // namespace brokerd
