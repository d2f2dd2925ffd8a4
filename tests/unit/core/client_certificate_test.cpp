#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "tests/unit/core/plugin_table_fixture.h"

// A client certificate's end is told in time. The certificates are made here, each with a time of its own.

using namespace brokerd;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

struct CertificateFixture : test::PluginTableFixture {
    CertificateFixture() : PluginTableFixture{60s} {}

    /// Writes client.pem and client.key, good from two days ago until `left` from now.
    void make_certificate(std::chrono::seconds left) const {
        const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key{EVP_EC_gen("P-256"), &EVP_PKEY_free};
        const std::unique_ptr<X509, decltype(&X509_free)> certificate{X509_new(), &X509_free};
        REQUIRE(key);
        REQUIRE(certificate);
        ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
        X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -2 * 86400);
        X509_gmtime_adj(X509_getm_notAfter(certificate.get()), left.count());
        REQUIRE(X509_set_pubkey(certificate.get(), key.get()) == 1);
        REQUIRE(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0);
        const std::unique_ptr<FILE, decltype(&std::fclose)> key_file{std::fopen(key_path.c_str(), "w"), &std::fclose};
        REQUIRE(PEM_write_PrivateKey(key_file.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
        const std::unique_ptr<FILE, decltype(&std::fclose)> file{std::fopen(path.c_str(), "w"), &std::fclose};
        REQUIRE(PEM_write_X509(file.get(), certificate.get()) == 1);
    }
    /// What doctor says of the certificate once it has been read; nobody listens at the plugin's address.
    [[nodiscard]] std::vector<Finding> found() {
        PluginDefinition secured = definition("x", "tcp://127.0.0.1:1");
        secured.endpoint->use_tls(
            {.insecure_skip_verify = true, .ca_file = {}, .cert_file = path, .key_file = key_path});
        table.apply("x", secured);
        run_until([&] { return table.find("x")->attempts > 1; });
        std::vector<Finding> about;
        for (const Finding& finding : table.doctor()) {
            if (finding.problem == "certificate") about.push_back(finding);
        }
        return about;
    }

    std::string path = directory / "client.pem";
    std::string key_path = directory / "client.key";
};

}  // namespace

TEST_CASE_METHOD(CertificateFixture, "a client certificate that lasts is no finding", "[core]") {
    make_certificate(90 * 24h);
    CHECK(found().empty());
    const auto view = table.find("x");
    REQUIRE(view->tls);
    CHECK(view->tls->verify == "none");
    CHECK(view->tls->client_certificate);
}

TEST_CASE_METHOD(CertificateFixture, "a client certificate that soon ends is a warning, one that has ended an error",
                 "[core]") {
    const bool is_over = GENERATE(false, true);
    make_certificate(is_over ? -24h : 10 * 24h);
    const auto findings = found();
    REQUIRE(findings.size() == 1);
    CHECK(findings[0].severity == (is_over ? "error" : "warning"));
    CHECK(findings[0].file == path);
    CHECK_THAT(findings[0].cause,
               Contains(is_over ? "the client certificate expired on 2" : "the client certificate expires on 2"));
    CHECK(findings[0].remedy == "renew " + path);
}
