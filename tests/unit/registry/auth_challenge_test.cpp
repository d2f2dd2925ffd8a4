#include "daemon/registry/auth_challenge.h"

#include <catch2/catch.hpp>

using namespace brokerd;

namespace {

/// "scheme name=value name=value | scheme …"
std::string shown(std::string_view value) {
    const auto challenges = parse_challenges(value);
    if (!challenges) return "none";
    std::string text;
    for (const AuthChallenge& challenge : *challenges) {
        if (!text.empty()) text += " | ";
        text += challenge.scheme;
        for (const auto& [name, param] : challenge.params) text.append(" ").append(name).append("=").append(param);
    }
    return text;
}

}  // namespace

TEST_CASE("challenges are read as RFC 9110 has them", "[registry]") {
    CHECK(shown("Basic") == "basic");
    CHECK(shown("Basic realm=\"a b\"") == "basic realm=a b");
    CHECK(shown("Bearer realm=\"https://h/t\",service=\"s\",scope=\"a:b:c,d\"") ==
          "bearer realm=https://h/t service=s scope=a:b:c,d");
    CHECK(shown("Bearer  Realm = x , service\t=\ty") == "bearer realm=x service=y");
    CHECK(shown(R"(X a="\"\\b")") == R"(x a="\b)");
    CHECK(shown("Basic realm=x, Bearer realm=y, z=1") == "basic realm=x | bearer realm=y z=1");
    CHECK(shown("Negotiate, Basic realm=x") == "negotiate | basic realm=x");
    CHECK(shown("Negotiate abc+/==, Basic realm=x") == "negotiate | basic realm=x");
    CHECK(shown(", ,Basic realm=x,, charset=\"UTF-8\" ,") == "basic realm=x charset=UTF-8");
    CHECK(shown("NTLM a=, Basic b=c") == "ntlm | basic b=c");
    CHECK(shown("Basic realm=\"\"") == "basic realm=");
}

TEST_CASE("what is no list of challenges is refused whole", "[registry]") {
    for (const char* value : {"",
                              " ",
                              ",",
                              "=",
                              "realm=x",
                              "\"a\"",
                              "Basic realm=\"x",
                              "Basic realm=\"x\\",
                              "Basic realm=\"a\x01\"",
                              "Basic realm=x y",
                              "Basic realm=x;y=z",
                              "Basic realm=\"x\"y",
                              "Basic a=1,A=2",
                              "Basic \"x\"",
                              "B@sic a=b",
                              "Basic a=\"b\" c=d",
                              "Basic/realm=x",
                              "Basic a=b c",
                              "\x80",
                              "Basic realm=\x80"}) {
        INFO(value);
        CHECK(shown(value) == "none");
    }
    CHECK_FALSE(parse_challenges(std::string(8193, 'x')));
    CHECK_FALSE(parse_challenges("a, a, a, a, a, a, a, a, a"));
    std::string params = "a ";
    for (int i = 0; i < 17; ++i) params += "p" + std::to_string(i) + "=1,";
    CHECK_FALSE(parse_challenges(params));
}
