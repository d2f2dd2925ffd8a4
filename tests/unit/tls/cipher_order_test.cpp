#include "daemon/tls/cipher_order.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

using namespace brokerd;

namespace {

struct ContextFree {
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};
using Context = std::unique_ptr<SSL_CTX, ContextFree>;

std::vector<std::string> names(const Context& context) {
    const STACK_OF(SSL_CIPHER)* const ciphers = SSL_CTX_get_ciphers(context.get());
    std::vector<std::string> found;
    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); ++i)
        found.emplace_back(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(ciphers, i)));
    return found;
}

std::size_t place(const std::vector<std::string>& all, const std::string& name) {
    const auto found = std::find(all.begin(), all.end(), name);
    REQUIRE(found != all.end());
    return static_cast<std::size_t>(found - all.begin());
}

}  // namespace

TEST_CASE("the order of ciphers changes, not what is allowed") {
    const Context context{SSL_CTX_new(TLS_client_method())};
    auto before = names(context);
    prefer_fast_ciphers(context.get());
    auto after = names(context);
    CHECK(place(after, "ECDHE-ECDSA-AES128-GCM-SHA256") < place(after, "ECDHE-ECDSA-AES256-GCM-SHA384"));
    CHECK(place(after, "TLS_AES_128_GCM_SHA256") < place(after, "TLS_AES_256_GCM_SHA384"));
    CHECK(place(after, "ECDHE-RSA-AES256-SHA") < place(after, "AES128-GCM-SHA256"));  // forward secrecy first
    std::sort(before.begin(), before.end());
    std::sort(after.begin(), after.end());
    CHECK(before == after);
}

TEST_CASE("a host's policy stays in force") {
    const Context context{SSL_CTX_new(TLS_client_method())};
    REQUIRE(SSL_CTX_set_cipher_list(context.get(), "ECDHE-RSA-AES256-GCM-SHA384") == 1);
    REQUIRE(SSL_CTX_set_ciphersuites(context.get(), "TLS_CHACHA20_POLY1305_SHA256") == 1);
    SSL_CTX_set_security_level(context.get(), 3);
    prefer_fast_ciphers(context.get());
    CHECK(names(context) == std::vector<std::string>{"TLS_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-AES256-GCM-SHA384"});
    CHECK(SSL_CTX_get_security_level(context.get()) == 3);
}
