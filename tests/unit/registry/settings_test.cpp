#include <catch2/catch.hpp>
#include <map>

#include "common/base64.h"
#include "daemon/registry/registry_credentials.h"
#include "daemon/registry/registry_settings.h"
#include "daemon/registry/transfer_retries.h"

using namespace brokerd;
using namespace std::chrono_literals;

TEST_CASE("insecure registries are those listed, and loopback", "[registry]") {
    RegistrySettings settings;
    settings.insecure_hosts = {
        "plain.test", "plugins.test:5000", "10.0.0.0/8", "fd00::/8", "[fe80::1]:5000", "nonsense/", ""};
    CHECK(settings.is_insecure("plain.test", 443));
    CHECK(settings.is_insecure("plain.test", 80));
    CHECK_FALSE(settings.is_insecure("plain.test", 5000));
    CHECK(settings.is_insecure("plugins.test", 5000));
    CHECK_FALSE(settings.is_insecure("plugins.test", 443));
    CHECK_FALSE(settings.is_insecure("sub.plain.test", 443));
    CHECK(settings.is_insecure("10.1.2.3", 5000));
    CHECK_FALSE(settings.is_insecure("11.1.2.3", 5000));
    CHECK(settings.is_insecure("fd12::1", 5000));
    CHECK(settings.is_insecure("fe80::1", 5000));
    CHECK_FALSE(settings.is_insecure("fe80::1", 443));
    for (const char* host : {"localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "::1"})
        CHECK(settings.is_insecure(host, 1));
    for (const char* host : {"localhost.test", "notlocalhost", "128.0.0.1", "::2", "127.0.0.1.test", "127.1"})
        CHECK_FALSE(settings.is_insecure(host, 1));
}

TEST_CASE("proxies come from the environment, once", "[registry]") {
    std::map<std::string, std::string> variables{{"HTTPS_PROXY", "p:1"},
                                                 {"https_proxy", "q:1"},
                                                 {"HTTP_PROXY", ""},
                                                 {"http_proxy", "r:1"},
                                                 {"no_proxy", " a , b,,"}};
    const auto proxies = NetworkProxies::from_environment([&](const char* name) -> const char* {
        const auto at = variables.find(name);
        return at == variables.end() ? nullptr : at->second.c_str();
    });
    CHECK(proxies.https == "p:1");
    CHECK(proxies.http == "r:1");
    CHECK(proxies.no_proxy == std::vector<std::string>{"a", "b"});
    CHECK(proxies.proxy_for(true, "h", 443) == "p:1");
    CHECK(proxies.proxy_for(false, "h", 80) == "r:1");
    CHECK_FALSE(proxies.proxy_for(true, "a", 443));
    CHECK_FALSE(proxies.proxy_for(true, "127.0.0.1", 443));
    CHECK_FALSE(NetworkProxies{}.proxy_for(true, "h", 443));
}

TEST_CASE("NO_PROXY names hosts, domains, addresses, networks and ports", "[registry]") {
    struct Case {
        const char* entry;
        const char* host;
        std::uint16_t port;
        bool proxied;
    };
    const Case cases[] = {
        {"*", "h", 1, false},
        {"h.test", "h.test", 1, false},
        {"h.test", "a.h.test", 1, false},
        {"h.test", "ah.test", 1, true},
        {".h.test", "a.h.test", 1, false},
        {".h.test", "h.test", 1, true},
        {"*.h.test", "a.h.test", 1, false},
        {"H.Test", "h.test", 1, false},
        {"h.test:5000", "h.test", 5000, false},
        {"h.test:5000", "h.test", 443, true},
        {"10.0.0.0/8", "10.2.3.4", 1, false},
        {"10.0.0.0/8", "11.2.3.4", 1, true},
        {"10.0.0.0/33", "10.2.3.4", 1, true},
        {"10.0.0.0/x", "10.2.3.4", 1, true},
        {"10.0.0.0/8", "ten.test", 1, true},
        {"10.2.3.4", "10.2.3.4", 1, false},
        {"10.2.3.4:5", "10.2.3.4", 5, false},
        {"10.2.3.4:5", "10.2.3.4", 6, true},
        {"fd00::1", "fd00:0::1", 1, false},
        {"fd00::/8", "fd12::1", 1, false},
        {"[fd00::1]:5", "fd00::1", 5, false},
        {"[fd00::1]:5", "fd00::1", 6, true},
        {"a b", "a", 1, true},
    };
    for (const Case& each : cases) {
        INFO(each.entry << " " << each.host << " " << each.port);
        const NetworkProxies proxies{"p", "p", {each.entry}};
        CHECK(proxies.proxy_for(true, each.host, each.port).has_value() == each.proxied);
    }
}

TEST_CASE("credentials come from the header X-Registry-Auth", "[registry]") {
    const auto read = [](std::string_view json) { return RegistryCredentials::from_header(base64_encoded(json)); };
    const auto all =
        read(R"({"username":"u","password":"p","identitytoken":"i","registrytoken":"r","serveraddress":"s"})");
    REQUIRE(all);
    CHECK(all->username == "u");
    CHECK(all->password == "p");
    CHECK(all->identity_token == "i");
    CHECK(all->registry_token == "r");
    CHECK(all->server_address == "s");
    const auto both = read(R"({"auth":"dTpwOng="})");
    REQUIRE(both);
    CHECK(both->username == "u");
    CHECK(both->password == "p:x");
    CHECK(RegistryCredentials::from_header("")->empty());
    CHECK(RegistryCredentials::from_header("e30=")->empty());
    CHECK(read("null")->empty());
    CHECK(read(R"({"serveraddress":"s","other":[1]})")->empty());
    for (const char* bad :
         {"[]", "5", "{", R"({"auth":"!"})", R"({"auth":"dQ=="})", R"({"registrytoken":"a\r\nX: y"})"}) {
        INFO(bad);
        const auto result = read(bad);
        REQUIRE_FALSE(result);
        CHECK(result.error().message.find(bad) == std::string::npos);
    }
    CHECK_FALSE(RegistryCredentials::from_header("no base64"));
    CHECK_FALSE(RegistryCredentials::from_header(std::string(70'000, 'A')));
}

TEST_CASE("credentials belong to one registry", "[registry]") {
    struct Case {
        const char* address;
        const char* domain;
        bool belong;
    };
    const Case cases[] = {
        {"", "any.test", true},
        {"a.test", "a.test", true},
        {"https://a.test/v2/", "a.test", true},
        {"https://A.test", "a.test:443", true},
        {"http://a.test:5000", "a.test:5000", true},
        {"a.test:5000", "a.test:5000", true},
        {"a.test", "a.test:5000", false},
        {"a.test", "b.test", false},
        {"a.test", "sub.a.test", false},
        {"https://index.docker.io/v1/", "docker.io", true},
        {"docker.io", "docker.io", true},
        {"index.docker.io", "docker.io", true},
        {"https://index.docker.io/v1/", "a.test", false},
        {"a.test", "docker.io", false},
        {"docker.io:5000", "docker.io", false},
        {"https://user@a.test", "a.test", false},
        {"a test", "a.test", false},
    };
    for (const Case& each : cases) {
        INFO(each.address << " " << each.domain);
        CHECK(RegistryCredentials{"u", "p", "", "", each.address}.belong_to(each.domain) == each.belong);
    }
}

TEST_CASE("attempts are counted, and pauses grow", "[registry]") {
    RegistryRetries limits;
    std::vector<std::chrono::milliseconds> pauses;
    limits.attempts = 8;
    limits.pause = [&pauses](std::chrono::milliseconds time) { pauses.push_back(time); };
    TransferRetries retries{limits, -1};
    const RegistryError passing{RegistryErrorKind::unreachable, "it broke", true, {}};
    for (int i = 0; i < 7; ++i) CHECK_FALSE(retries.refuse(passing));
    const auto last = retries.refuse(passing);
    REQUIRE(last);
    CHECK(last->message == "it broke (after 8 attempts)");
    REQUIRE(pauses.size() == 7);
    const std::chrono::milliseconds whole[] = {500ms, 1s, 2s, 4s, 8s, 10s, 10s};
    for (std::size_t i = 0; i < 7; ++i) CHECK((pauses[i] <= whole[i] && pauses[i] >= whole[i] / 2));

    retries.note_progress();
    RegistryError asked = passing;
    asked.retry_after = 7s;
    CHECK_FALSE(retries.refuse(asked));
    CHECK(pauses.back() == 7s);
    asked.retry_after = 24h;
    CHECK_FALSE(retries.refuse(asked));
    CHECK(pauses.back() == limits.longest_wait);
    CHECK(retries.refuse({RegistryErrorKind::not_found, "gone", false, {}})->message == "gone");
}
