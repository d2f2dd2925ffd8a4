#include <catch2/catch.hpp>

#include "daemon/proxy/route.h"

using namespace brokerd;

namespace {

Endpoint endpoint(const std::string& url) {
    return *Endpoint::parse(url);
}

}  // namespace

TEST_CASE("only names and certificates may have to be waited for", "[proxy]") {
    CHECK_FALSE(Target::needs_worker(endpoint("unix:///run/x.sock")));
    CHECK_FALSE(Target::needs_worker(endpoint("tcp://127.0.0.1:80")));
    CHECK_FALSE(Target::needs_worker(endpoint("tcp://[::1]:80")));
    CHECK(Target::needs_worker(endpoint("tcp://localhost:80")));
    CHECK(Target::needs_worker(endpoint("https://127.0.0.1")));
}

TEST_CASE("an address is ready to be connected to", "[proxy]") {
    const auto family = [](const std::string& url) {
        const auto target = Target::prepare(endpoint(url));
        REQUIRE(target);
        REQUIRE((*target)->addresses.size() >= 1);
        CHECK((*target)->url == endpoint(url).str());
        return (*target)->addresses[0].storage.ss_family;
    };
    CHECK(family("tcp://127.0.0.1:80") == AF_INET);
    CHECK(family("http://[::1]:80") == AF_INET6);
    CHECK(family("unix:///run/x.sock") == AF_UNIX);
    CHECK((*Target::prepare(endpoint("http://127.0.0.1:80")))->host_header == "127.0.0.1:80");
    const auto unfollowed = Target::prepare(Endpoint::unix_socket("/run/x.sock", Endpoint::Links::refused));
    CHECK((*unfollowed)->own_socket == "/run/x.sock");
}

TEST_CASE("what TLS needs and cannot be read is no matter of trying again", "[proxy]") {
    Endpoint secured = endpoint("tcp://127.0.0.1:80");
    secured.use_tls({.insecure_skip_verify = false, .ca_file = "/nonexistent/ca.pem", .cert_file = {}, .key_file = {}});
    const auto target = Target::prepare(secured);
    REQUIRE_FALSE(target);
    CHECK(target.error().is_final);
    CHECK_THAT(target.error().message, Catch::Contains("/nonexistent/ca.pem"));
    secured.use_tls({.insecure_skip_verify = true, .ca_file = {}, .cert_file = {}, .key_file = {}});
    CHECK((*Target::prepare(secured))->tls != nullptr);
}

TEST_CASE("a name that is none is told with what to look at", "[proxy]") {
    const auto target = Target::prepare(endpoint("tcp://" + std::string(64, 'x') + ".test:80"));  // a label is shorter
    REQUIRE_FALSE(target);
    CHECK_FALSE(target.error().is_final);
    CHECK_THAT(target.error().message, Catch::Contains("cannot be resolved"));
}
