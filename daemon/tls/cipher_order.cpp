#include "daemon/tls/cipher_order.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace brokerd {
namespace {

bool has_aes_hardware() {
#if defined(__x86_64__)
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__)
    return (getauxval(AT_HWCAP) & (HWCAP_AES | HWCAP_PMULL)) == (HWCAP_AES | HWCAP_PMULL);
#else
    return false;
#endif
}

/// A key exchange that a stolen server key does not undo. TLS 1.3 knows no other.
bool is_forward_secret(const SSL_CIPHER* cipher) {
    switch (SSL_CIPHER_get_kx_nid(cipher)) {
        case NID_kx_any:
        case NID_kx_ecdhe:
        case NID_kx_dhe:
            return true;
        default:
            return false;
    }
}

/// Lower is faster.
int speed_rank(const SSL_CIPHER* cipher, bool aes_hardware) {
    switch (SSL_CIPHER_get_cipher_nid(cipher)) {
        case NID_aes_128_gcm:
            return aes_hardware ? 0 : 1;
        case NID_aes_256_gcm:
            return aes_hardware ? 1 : 2;
        case NID_chacha20_poly1305:
            return aes_hardware ? 2 : 0;
        default:
            return 3;
    }
}

std::string joined(const std::vector<const SSL_CIPHER*>& ciphers, bool tls13) {
    std::string names;
    for (const SSL_CIPHER* cipher : ciphers) {
        if ((std::string_view{SSL_CIPHER_get_version(cipher)} == "TLSv1.3") != tls13) continue;
        if (!names.empty()) names += ':';
        names += SSL_CIPHER_get_name(cipher);
    }
    return names;
}

}  // namespace

void prefer_fast_ciphers(SSL_CTX* context) {
    const STACK_OF(SSL_CIPHER)* const allowed = SSL_CTX_get_ciphers(context);
    std::vector<const SSL_CIPHER*> ciphers;
    for (int i = 0; i < sk_SSL_CIPHER_num(allowed); ++i) ciphers.push_back(sk_SSL_CIPHER_value(allowed, i));
    const bool aes_hardware = has_aes_hardware();
    std::stable_sort(ciphers.begin(), ciphers.end(), [&](const SSL_CIPHER* left, const SSL_CIPHER* right) {
        const auto rank = [&](const SSL_CIPHER* cipher) {
            return std::pair{!is_forward_secret(cipher), speed_rank(cipher, aes_hardware)};
        };
        return rank(left) < rank(right);
    });
    // The names are OpenSSL's own. Where it should not take them all the same, its order stays, which is as good.
    if (const std::string names = joined(ciphers, true); !names.empty())
        SSL_CTX_set_ciphersuites(context, names.c_str());
    if (const std::string names = joined(ciphers, false); !names.empty())
        SSL_CTX_set_cipher_list(context, names.c_str());
}

}  // namespace brokerd
