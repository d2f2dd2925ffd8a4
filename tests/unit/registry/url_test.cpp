#include "daemon/registry/url.h"

#include <catch2/catch.hpp>

#include "common/base64.h"

using namespace brokerd;

namespace {

std::string shown(const std::optional<Url>& url) {
    return url ? url->origin() + url->target : "none";
}

}  // namespace

TEST_CASE("URLs are read into parts that cannot break a request apart", "[registry]") {
    CHECK(shown(Url::parse("https://Host.Example/a?b=c#d")) == "https://host.example/a?b=c");
    CHECK(shown(Url::parse("HTTP://h:80")) == "http://h/");
    CHECK(shown(Url::parse("http://h:443/")) == "http://h:443/");
    CHECK(shown(Url::parse("https://[FD00::1]:5000?x")) == "https://[fd00::1]:5000/?x");
    CHECK(Url::parse("https://[fd00::1]/")->authority() == "[fd00::1]");
    CHECK(Url::parse("https://[fd00::1]/")->host_and_port() == "[fd00::1]:443");
}

TEST_CASE("what is no http URL, or hides something, is refused", "[registry]") {
    for (const char* text : {"",
                             "h",
                             "/a",
                             "ftp://h/",
                             "http:///a",
                             "http://:80/",
                             "http://h:0/",
                             "http://h:65536/",
                             "http://h:8x/",
                             "http://h:/",
                             "http://user@h/",
                             "http://user:password@h/",
                             "http://h/a b",
                             "http://h/\r\nX: y",
                             "http://h/\x80",
                             "http://../",
                             "http://a..b/",
                             "http://.h/",
                             "http://h\\a/",
                             "http://[::1/",
                             "http://[x]/",
                             "http://[]/",
                             "http://h%41/",
                             "//h/",
                             "http://a/b@c@/ "}) {
        INFO(text);
        CHECK_FALSE(Url::parse(text));
    }
    CHECK_FALSE(Url::parse("http://h/" + std::string(8192, 'x')));
}

TEST_CASE("locations are resolved as RFC 3986 5.4 has it", "[registry]") {
    const auto base = Url::parse("http://a/b/c/d;p?q");
    const std::pair<const char*, const char*> cases[] = {
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g/"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q"},
        {"g?y#s", "http://a/b/c/g?y"},
        {";x", "http://a/b/c/;x"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"https://h:1/x", "https://h:1/x"},
        {"/a:b", "http://a/a:b"},
        {"mailto:x", "none"},
        {"http:g", "none"},
        {"//user@g", "none"},
        {"/a b", "none"},
    };
    for (const auto& [location, expected] : cases) {
        INFO(location);
        CHECK(shown(base->resolve(location)) == expected);
    }
}

TEST_CASE("a proxy's address may name a user and leave the scheme out", "[registry]") {
    CHECK(Url::parse_proxy("proxy:3128")->host_and_port() == "proxy:3128");
    const auto proxy = Url::parse_proxy("http://me:p@ss@proxy/");
    REQUIRE(proxy);
    CHECK(proxy->user_info == "me:p@ss");
    CHECK(proxy->host_and_port() == "proxy:80");
    CHECK_FALSE(Url::parse_proxy("https://proxy"));
    CHECK_FALSE(Url::parse_proxy("socks5://proxy"));
    CHECK_FALSE(Url::parse_proxy(""));
}

TEST_CASE("the hosts of image references", "[registry]") {
    CHECK(Url::of_authority(true, "localhost:5000")->origin() == "https://localhost:5000");
    CHECK(Url::of_authority(false, "Host")->origin() == "http://host");
    CHECK(Url::of_authority(true, "[::1]:5000")->host == "::1");
    CHECK_FALSE(Url::of_authority(true, "a/b"));
    CHECK_FALSE(Url::of_authority(true, ""));
}

TEST_CASE("values in queries are encoded", "[registry]") {
    CHECK(query_value("a-Z.0_~ &=+/\xff") == "a-Z.0_~%20%26%3D%2B%2F%FF");
}
