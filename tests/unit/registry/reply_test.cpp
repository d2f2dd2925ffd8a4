#include <catch2/catch.hpp>

#include "daemon/registry/blob_download.h"
#include "daemon/registry/registry_endpoint.h"
#include "daemon/registry/registry_reply.h"

using namespace brokerd;
using namespace std::chrono_literals;

namespace {

RegistryError told(unsigned status, std::string_view body, bool with_credentials = false, HttpFields fields = {}) {
    return error_of({status, {}, std::move(fields)}, body, "h", with_credentials);
}

}  // namespace

TEST_CASE("what a registry's errors mean", "[registry]") {
    using Kind = RegistryErrorKind;
    CHECK(told(404, R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})").message ==
          "h answers 404: not found: manifest unknown");
    CHECK(told(404, "").kind == Kind::not_found);
    CHECK(told(400, R"({"errors":[{"code":"NAME_UNKNOWN"}]})").kind == Kind::not_found);
    CHECK(told(401, "").kind == Kind::unauthorized);
    CHECK(told(401, "").message == "h answers 401: it requires a login, or has no such repository");
    CHECK(told(401, "", true).message == "h answers 401: wrong user name or password");
    CHECK(told(401, "", true, {{"WWW-Authenticate", "Bearer error=\"insufficient_scope\""}}).kind == Kind::denied);
    CHECK(told(403, R"({"errors":[{"code":"DENIED","message":"no","detail":"why"}]})").message ==
          "h answers 403: denied: no (why)");
    CHECK(told(400, R"({"errors":[{"code":"DENIED"}]})").kind == Kind::denied);
    CHECK(told(400, R"({"message":"odd"})").message == "h answers 400: it refuses the request: odd");
    CHECK(told(400, "").kind == Kind::invalid);
    CHECK(error_of({401, {}, {}}, R"({"message":"no u:hunter2, \u0068unter2"})", "h", true, {"hunter2"}).message ==
          "h answers 401: wrong user name or password: no u:********, ********");
    for (const unsigned status : {408U, 429U, 500U, 502U, 503U, 504U}) {
        CHECK(told(status, "").kind == Kind::unreachable);
        CHECK(told(status, "").transient);
    }
    CHECK(told(501, "").kind == Kind::unreachable);
    CHECK_FALSE(told(501, "").transient);
    CHECK(told(429, "", false, {{"Retry-After", "5"}}).retry_after == 5s);
}

TEST_CASE("what a registry says is fit for a terminal", "[registry]") {
    CHECK(printable_reply("a\n\tb\x1b[0m\xc3\xa4\x7f") == "a  b\\x1b[0m\\xc3\\xa4\\x7f");
    CHECK(printable_reply(std::string(1000, 'x')).size() == 303);
    CHECK(told(400, R"({"errors":[{"message":"a"},{"message":"b"},{"message":"c"},{"message":"d"}]})").message ==
          "h answers 400: it refuses the request: a; b; c");
    CHECK(told(400, std::string(100'000, '[')).message == "h answers 400: it refuses the request");
}

TEST_CASE("Retry-After is seconds or a date", "[registry]") {
    const auto now = std::chrono::system_clock::from_time_t(784'111'770);  // Sun, 06 Nov 1994 08:49:30 GMT
    CHECK(parse_retry_after("120", now) == 120s);
    CHECK(parse_retry_after("0", now) == 0s);
    CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now) == 7s);
    CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:00 GMT", now) == 0s);
    CHECK(parse_retry_after("Sun, 06 Nov 2094 08:49:00 GMT", now) == 24h);
    CHECK(parse_retry_after("Wed, 21 Oct 1049 07:28:00 GMT", now) == 0s);  // before the clock can tell
    CHECK(parse_retry_after("99999999999999999999999", now) == 24h);
    CHECK(parse_retry_after("18446744073709551615", now) == 24h);
    for (const char* text : {"", "-1", "1.5", "soon", "5 ", "Sun, 06 Nov 1994 08:49:37 GMT x"})
        CHECK(parse_retry_after(text, now) == 0s);
}

TEST_CASE("a part must be exactly the one that was asked for", "[registry]") {
    CHECK(is_rest_of("bytes 5-9/10", 5, 10));
    CHECK(is_rest_of("bytes 5-9/*", 5, 10));
    for (const char* value : {"", "bytes 5-8/10", "bytes 4-9/10", "bytes 5-9/11", "bytes 5-9/", "bytes 5-9", "5-9/10",
                              "bytes 5-9/10 ", "bytes */10", "items 5-9/10"})
        CHECK_FALSE(is_rest_of(value, 5, 10));
}

TEST_CASE("what token services are asked for", "[registry]") {
    CHECK(RegistryScope{"a/b", false, ""}.texts(true) == std::vector<std::string>{"repository(plugin):a/b:pull"});
    CHECK(RegistryScope{"a/b", true, "c/d"}.texts(false) ==
          std::vector<std::string>{"repository:a/b:pull,push", "repository:c/d:pull"});
}
