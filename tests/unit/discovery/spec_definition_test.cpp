#include <catch2/catch.hpp>

#include "daemon/discovery/address_advice.h"
#include "daemon/discovery/definition_text.h"

using namespace brokerd;
using Problem = PluginDefinition::Problem;

namespace {

PluginDefinition spec(std::string_view text) {
    return parse_spec_text("moby", "/etc/p/moby.spec", text);
}

}  // namespace

TEST_CASE("a .spec file holds one URL", "[discovery]") {
    struct Row {
        std::string_view text;
        const char* endpoint;
    };
    for (const Row& row : {Row{"tcp://192.168.1.1:8080", "tcp://192.168.1.1:8080"},
                           Row{"tcp://localhost:8080\n", "tcp://localhost:8080"},
                           Row{"\n\t unix:///other.sock \r\n\n", "unix:///other.sock"},
                           Row{"https://h", "https://h:443"}, Row{"http://[::1]:80/", "http://[::1]:80"}}) {
        const PluginDefinition definition = spec(row.text);
        INFO(row.text << ": " << definition.reason);
        CHECK(definition.problem == Problem::none);
        REQUIRE(definition.endpoint);
        CHECK(definition.endpoint->str() == row.endpoint);
        CHECK(definition.reason.empty());
        CHECK(definition.remedy.empty());
        CHECK(definition.source == PluginDefinition::Source::spec);
    }
    CHECK(spec("tcp://h:1").warnings.empty());
    CHECK(spec("https://h:1").warnings.size() == 1);
}

TEST_CASE("a byte order mark in a .spec file is told, and ignored", "[discovery]") {
    const PluginDefinition definition = spec("\xef\xbb\xbftcp://h:1\n");
    CHECK(definition.problem == Problem::none);
    REQUIRE(definition.warnings.size() == 1);
    CHECK_THAT(definition.warnings.front(),
               Catch::StartsWith("/etc/p/moby.spec:1:1: ") && Catch::Contains("byte order mark"));
}

TEST_CASE("what is wrong in a .spec file is told with its place and what to write", "[discovery]") {
    struct Row {
        std::string text;
        const char* place;
        const char* reason;
        const char* remedy;
    };
    const std::vector<Row> rows{
        {"", "1:1", "empty", "write unix:///"},
        {" \n\n", "1:1", "empty", "write unix:///"},
        {"localhost:8080", "1:1", "scheme is missing", "write tcp://localhost:8080"},
        {"\n  localhost:8080", "2:3", "scheme is missing", "write tcp://localhost:8080"},
        {"tcp:/h:1", "1:1", "scheme is missing", "write unix:///"},
        {"ftp://h:1", "1:1", "scheme is not", "write unix:///"},
        {"TCP://h:1", "1:1", "scheme is not", "write tcp://h:1"},
        {"/run/x.sock", "1:1", "scheme is missing", "write unix:///run/x.sock"},
        {"unix://run/x.sock", "1:1", "absolute", "write unix:///run/x.sock"},
        {"unix:/run/x.sock", "1:1", "scheme is missing", "write unix:///run/x.sock"},
        {"unix://", "1:1", "absolute", "write unix:///run/NAME.sock"},
        {"unix:///run/", "1:1", "ends with a slash", "write unix:///run/NAME.sock"},
        {"unix:///" + std::string(200, 'x'), "1:1", "longer than", "write unix:///run/NAME.sock"},
        {"tcp://h", "1:1", "port is missing", "write unix:///"},
        {"tcp://h:", "1:1", "port is missing", "write unix:///"},
        {"tcp://:1", "1:1", "host is missing", "write unix:///"},
        {"tcp://", "1:1", "host is missing", "write unix:///"},
        {"tcp://h:0", "1:1", "not a number", "write unix:///"},
        {"tcp://h:65536", "1:1", "not a number", "write unix:///"},
        {"tcp://h:99999999999999999999", "1:1", "not a number", "write unix:///"},
        {"tcp://h:-1", "1:1", "not a number", "write unix:///"},
        {"tcp://h:0x50", "1:1", "not a number", "write unix:///"},
        {"tcp://::1:80", "1:1", "more than one colon", "write unix:///"},
        {"tcp://[::1:80", "1:1", "not closed", "write unix:///"},
        {"tcp://[x]:80", "1:1", "no IPv6", "write unix:///"},
        {"tcp://[::1]80", "1:1", "only :PORT", "write unix:///"},
        {"tcp://h_st!:80", "1:1", "host name has a character", "write unix:///"},
        {"tcp://" + std::string(300, 'h') + ":1", "1:1", "too long", "write unix:///"},
        {"http://h:1/path", "1:1", "nothing may follow", "write http://h:1"},
        {"http://h:1?q", "1:1", "nothing may follow", "write http://h:1"},
        {"http://h:1#f", "1:1", "nothing may follow", "write http://h:1"},
        {"http://user:pw@h:1", "1:1", "user name", "write http://h:1"},
        {"https:// 192.168.1.1:8080", "1:9", "white space", "write https://192.168.1.1:8080"},
        {"tcp://h:1 # comment", "1:10", "white space", "write tcp://h:1"},
        {"tcp://h:1\ntcp://h:2\n", "2:1", "second line", "write one line: tcp://h:1"},
        {"tcp://h:1\r\n\r\n  tcp://h:2", "3:3", "second line", "write one line: tcp://h:1"},
        {"://\ntcp://h:1", "2:1", "second line", "write unix:///"},
        {std::string{"tcp://h:1\0", 10}, "1:10", "control character", "write"},
        {"tcp://h\xc3\xb6st:1", "1:8", "outside ASCII", "write unix:///"},
        {"\x7f"
         "ELF\x02\x01",
         "1:1", "scheme is missing", "write unix:///"},
        {"tcp://h:1\xef\xbb\xbf", "1:10", "outside ASCII", "write unix:///"},
    };
    for (const Row& row : rows) {
        const PluginDefinition definition = spec(row.text);
        INFO(row.text << "\n" << definition.reason << "\n" << definition.remedy);
        CHECK(definition.problem == Problem::malformed);
        CHECK_FALSE(definition.endpoint);
        CHECK_THAT(definition.reason, Catch::StartsWith("/etc/p/moby.spec:" + std::string{row.place} + ": "));
        CHECK_THAT(definition.reason, Catch::Contains(row.reason));
        CHECK_THAT(definition.remedy, Catch::StartsWith(row.remedy));
        for (const char c : definition.reason + definition.remedy) REQUIRE((c >= ' ' && c <= '~'));
    }
}

TEST_CASE("advice is always an address that is accepted", "[discovery]") {
    for (const char* text :
         {"h:1", " h : 1 ", "/x", "unix:x", "HTTPS://u@h/p", "TCP:// h:1/x", "unix:////x", "Unix:/x"}) {
        const std::string advice = likely_address(text);
        INFO(text << " -> " << advice);
        CHECK(Endpoint::parse(advice));
    }
    CHECK(likely_address("").empty());
    CHECK(likely_address("://").empty());
    CHECK(likely_address(std::string(100'000, 'x') + ":1").empty());
}
