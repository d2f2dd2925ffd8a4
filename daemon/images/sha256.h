#pragma once

#include <openssl/types.h>

#include <memory>
#include <string_view>

#include "common/digest.h"

namespace brokerd {

/// SHA-256 over bytes as they come (OpenSSL's EVP, which uses the processor's own instructions where it has them).
/// Thread: one at a time. Throws std::runtime_error where OpenSSL offers no SHA-256, which a broken installation does.
class Sha256 {
public:
    Sha256();

    void update(std::string_view bytes);
    /// The digest of all bytes since construction or the last finish() or restart(); the next byte begins anew.
    [[nodiscard]] Digest finish();
    void restart();

    [[nodiscard]] static Digest of(std::string_view bytes);

private:
    struct Free {
        void operator()(EVP_MD_CTX* context) const noexcept;
    };
    std::unique_ptr<EVP_MD_CTX, Free> context_;
};

}  // namespace brokerd
