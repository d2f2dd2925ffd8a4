#include "daemon/images/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <stdexcept>

namespace brokerd {
namespace {

/// Fetched once, as each fetch goes through OpenSSL's providers and their locks; it lives as long as the process.
const EVP_MD* algorithm() {
    static const EVP_MD* const kAlgorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    if (kAlgorithm == nullptr) throw std::runtime_error{"OpenSSL has no SHA-256; check its configuration"};
    return kAlgorithm;
}

}  // namespace

void Sha256::Free::operator()(EVP_MD_CTX* context) const noexcept {
    EVP_MD_CTX_free(context);
}

Sha256::Sha256() : context_{EVP_MD_CTX_new()} {
    if (!context_) throw std::bad_alloc{};
    restart();
}

void Sha256::update(std::string_view bytes) {
    if (EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1)
        throw std::runtime_error{"OpenSSL cannot compute SHA-256"};
}

Digest Sha256::finish() {
    std::array<unsigned char, Digest::kBytes> bytes{};
    if (EVP_DigestFinal_ex(context_.get(), bytes.data(), nullptr) != 1)
        throw std::runtime_error{"OpenSSL cannot compute SHA-256"};
    restart();
    return Digest::from_bytes(bytes);
}

void Sha256::restart() {
    if (EVP_DigestInit_ex2(context_.get(), algorithm(), nullptr) != 1)
        throw std::runtime_error{"OpenSSL cannot compute SHA-256"};
}

Digest Sha256::of(std::string_view bytes) {
    Sha256 hash;
    hash.update(bytes);
    return hash.finish();
}

}  // namespace brokerd
