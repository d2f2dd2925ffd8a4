#include <catch2/catch.hpp>

#include "daemon/discovery/definition_text.h"

using namespace brokerd;
using Problem = PluginDefinition::Problem;

namespace {

PluginDefinition json(std::string_view text) {
    return parse_json_text("moby", "/etc/p/moby.json", text);
}

std::string with_tls(std::string_view addr, std::string_view tls) {
    return "{\"Name\":\"moby\",\"Addr\":\"" + std::string{addr} + "\",\"TLSConfig\":" + std::string{tls} + "}";
}

}  // namespace

TEST_CASE("a .json file gives name, address and TLS settings", "[discovery]") {
    const PluginDefinition definition = json(R"({
  "Name": "moby",
  "Addr": "https://192.168.1.1:8080",
  "TLSConfig": {
    "InsecureSkipVerify": false,
    "CAFile": "/c/ca.pem",
    "CertFile": "/c/cert.pem",
    "KeyFile": "/c/key.pem"
  }
})");
    INFO(definition.reason);
    CHECK(definition.problem == Problem::none);
    CHECK(definition.warnings.empty());
    CHECK(definition.source == PluginDefinition::Source::json);
    REQUIRE(definition.endpoint);
    CHECK(definition.endpoint->str() == "https://192.168.1.1:8080");
    CHECK(definition.endpoint->tls() == TlsSettings{false, "/c/ca.pem", "/c/cert.pem", "/c/key.pem"});
}

TEST_CASE("a .json file without TLSConfig, or with null, does not use it", "[discovery]") {
    for (const char* text :
         {R"({"Name":"moby","Addr":"tcp://h:1"})", R"({"Name":"moby","Addr":"tcp://h:1","TLSConfig":null})",
          "\n{ \"Addr\" : \"tcp://h:1\" ,\n\"Name\":\"moby\" }\n"}) {
        const PluginDefinition definition = json(text);
        INFO(text << definition.reason);
        REQUIRE(definition.endpoint);
        CHECK(definition.endpoint->str() == "tcp://h:1");
        CHECK_FALSE(definition.endpoint->tls());
        CHECK(definition.warnings.empty());
    }
}

TEST_CASE("tcp with a TLSConfig is TLS, with https it is as well", "[discovery]") {
    for (const char* scheme : {"tcp", "https"}) {
        const PluginDefinition definition = json(with_tls(std::string{scheme} + "://h:1", R"({"CAFile":"/ca"})"));
        REQUIRE(definition.endpoint);
        REQUIRE(definition.endpoint->tls());
        CHECK(definition.endpoint->tls()->ca_file == "/ca");
        CHECK(definition.warnings.empty());
    }
}

TEST_CASE("member names are matched without regard to case, as in Docker", "[discovery]") {
    const PluginDefinition definition =
        json(R"({"name":"moby","ADDR":"tcp://h:1","tlsconfig":{"cafile":"/ca","insecureskipverify":true}})");
    INFO(definition.reason);
    REQUIRE(definition.endpoint);
    REQUIRE(definition.endpoint->tls());
    CHECK(definition.endpoint->tls()->ca_file == "/ca");
    CHECK(definition.endpoint->tls()->insecure_skip_verify);
}

TEST_CASE("what is accepted in a .json file but odd is told as a warning", "[discovery]") {
    struct Row {
        std::string text;
        const char* place;
        const char* warning;
    };
    const std::vector<Row> rows{
        {"{\"Name\":\"moby\",\n\"Addr\":\"tcp://h:1\",\n}", "2:19", "comma"},
        {"{\"Name\":\"moby\",\"Addr\":\"tcp://h:1\",\"TLSConfig\":{\"CAFile\":\"/ca\" , \n }}", "1:63", "comma"},
        {R"({"Name":"moby","Addr":"tcp://h:1","Color":"red"})", "1:35", "\"Color\" is not a member"},
        {R"({"a\"b":1,"Name":"moby","Addr":"tcp://h:1"})", "1:2", "is not a member"},
        {R"({"Name":"moby","Addr":"tcp://h:1","x":[{"Name":"other"}]})", "1:35", "\"x\" is not a member"},
        {with_tls("tcp://h:1", R"({"CAFile":"/ca","Passphrase":"x"})"), "1:63", "\"TLSConfig.Passphrase\""},
        {with_tls("tcp://h:1", "{}"), "1:47", "system's store"},
        {with_tls("https://h:1", R"({"CertFile":"/c","KeyFile":"/k"})"), "1:49", "system's store"},
        {with_tls("tcp://h:1", R"({"InsecureSkipVerify":true})"), "1:47", "InsecureSkipVerify"},
        {with_tls("unix:///x", R"({"CAFile":"/ca"})"), "1:35", "ignored"},
        {"\xef\xbb\xbf{\"Name\":\"moby\",\"Addr\":\"tcp://h:1\"}", "1:1", "byte order mark"},
    };
    for (const Row& row : rows) {
        const PluginDefinition definition = json(row.text);
        INFO(row.text << "\n"
                      << definition.reason
                      << Catch::StringMaker<std::vector<std::string>>::convert(definition.warnings));
        CHECK(definition.problem == Problem::none);
        CHECK(definition.endpoint);
        REQUIRE(definition.warnings.size() == 1);
        CHECK_THAT(definition.warnings.front(), Catch::StartsWith("/etc/p/moby.json:" + std::string{row.place} + ": "));
        CHECK_THAT(definition.warnings.front(), Catch::Contains(row.warning));
    }
    CHECK_FALSE(json(with_tls("unix:///x", "{}")).endpoint->tls());
}

TEST_CASE("files of TLS may have any name, and an empty one is none", "[discovery]") {
    const PluginDefinition definition =
        json(with_tls("tcp://h:1", "{\"CAFile\":\"/c/schl\xc3\xbcssel.pem\",\"KeyFile\":\"\"}"));
    INFO(definition.reason);
    REQUIRE(definition.endpoint);
    CHECK(definition.endpoint->tls()->ca_file == "/c/schl\xc3\xbcssel.pem");
    CHECK(definition.endpoint->tls()->key_file.empty());
}

TEST_CASE("the number of warnings is bounded", "[discovery]") {
    std::string text = R"({"Name":"moby","Addr":"tcp://h:1")";
    for (int i = 0; i < 1000; ++i) text += ",\"x" + std::to_string(i) + "\":0";
    const PluginDefinition definition = json(text + "}");
    CHECK(definition.endpoint);
    CHECK(definition.warnings.size() == 17);
    CHECK_THAT(definition.warnings.back(), Catch::Contains("more"));
}

TEST_CASE("the book's example is invalid for its blank, and says what to write", "[discovery]") {
    const PluginDefinition definition = json(R"({
  "Name": "moby",
  "Addr": "https:// 192.168.1.1:8080",
  "TLSConfig": {
    "InsecureSkipVerify": false,
    "KeyFile": "/usr/shared/docker/certs/example-key.pem",
  }
})");
    CHECK(definition.problem == Problem::malformed);
    CHECK_THAT(definition.reason, Catch::StartsWith("/etc/p/moby.json:3:11: ") && Catch::Contains("white space"));
    CHECK(definition.remedy == "write https://192.168.1.1:8080");
    REQUIRE(definition.warnings.size() == 1);
    CHECK_THAT(definition.warnings.front(), Catch::StartsWith("/etc/p/moby.json:6:58: "));
}

TEST_CASE("a .json file whose Name is another's is not recognised", "[discovery]") {
    for (const char* text : {R"({"Name":"other","Addr":"tcp://h:1"})", R"({"Name":"","Addr":"tcp://h:1"})",
                             R"({"Name":"Moby","Addr":"tcp://h:1"})", R"({"Name":"moby\u0000","Addr":"tcp://h:1"})"}) {
        const PluginDefinition definition = json(text);
        INFO(text);
        CHECK(definition.problem == Problem::name_mismatch);
        CHECK_FALSE(definition.endpoint);
        CHECK_THAT(definition.reason, Catch::StartsWith("/etc/p/moby.json:1:9: "));
        CHECK_THAT(definition.remedy, Catch::StartsWith(R"(write "Name": "moby")"));
    }
}

TEST_CASE("what is wrong in a .json file is told with its place and what to write", "[discovery]") {
    struct Row {
        std::string text;
        const char* place;
        const char* reason;
    };
    const std::string good = R"({"Name":"moby","Addr":"tcp://h:1")";
    const std::vector<Row> rows{
        {"", "1:1", "empty"},
        {" \n ", "1:1", "empty"},
        {"tcp://h:1", "1:2", "not JSON"},
        {"{", "1:2", "not JSON"},
        {"[]", "1:1", "not a JSON object"},
        {"\n  3", "2:3", "not a JSON object"},
        {"null", "1:1", "not a JSON object"},
        {R"([{"Name":"moby"}])", "1:1", "not a JSON object"},
        {good + "} x", "1:36", "not JSON"},
        {good + "}{}", "1:35", "not JSON"},
        {good + ",,}", "1:35", "not JSON"},
        {good + std::string{"}\0garbage", 9}, "1:35", "zero byte"},
        {"{'Name':'moby'}", "1:2", "not JSON"},
        {"{\"Name\":\"mo\nby\"}", "1:12", "line ends inside a string"},
        {"{\"Name\":\"mo\rby\"}", "1:12", "line ends inside a string"},
        {"{\"Name\":1.\n}", "1:11", "not JSON: Miss fraction part in number"},
        {"{\"Name\":\"\xff\"}", "1:", "not JSON"},
        {"\x7f"
         "ELF",
         "1:1", "not JSON"},
        {"{}", "1:1", "\"Name\" is missing"},
        {R"({"Addr":"tcp://h:1"})", "1:1", "\"Name\" is missing"},
        {R"({"Name":null,"Addr":"tcp://h:1"})", "1:1", "\"Name\" is missing"},
        {R"({"Name":"moby"})", "1:1", "\"Addr\" is missing"},
        {R"({"Name": 3,"Addr":"tcp://h:1"})", "1:10", "\"Name\" is not a string"},
        {R"({"Name":"moby","Addr":["tcp://h:1"]})", "1:23", "\"Addr\" is not a string"},
        {R"({"Name":"moby","Addr":""})", "1:23", "it is empty"},
        {R"({"Name":"moby","Addr":"h:1"})", "1:23", "scheme is missing"},
        {R"({"Name":"moby","Addr":"tcp://h:1","addr":"tcp://h:2"})", "1:35", "\"Addr\" occurs twice"},
        {R"({"Name":"moby","Name":"moby","Addr":"tcp://h:1"})", "1:16", "\"Name\" occurs twice"},
        {R"({"Name":"moby","Addr":null,"Addr":"tcp://h:2"})", "1:28", "\"Addr\" occurs twice"},
        {with_tls("tcp://h:1", "true"), "1:47", "\"TLSConfig\" is not an object"},
        {with_tls("tcp://h:1", "[]"), "1:47", "\"TLSConfig\" is not an object"},
        {with_tls("tcp://h:1", R"({"CAFile":"/a","CAFile":"/b"})"), "1:62", "\"TLSConfig.CAFile\" occurs twice"},
        {with_tls("tcp://h:1", R"({"InsecureSkipVerify":"true"})"), "1:69", "not true or false"},
        {with_tls("tcp://h:1", R"({"CAFile": 1})"), "1:58", "\"TLSConfig.CAFile\" is not a string"},
        {with_tls("tcp://h:1", R"({"CAFile":"ca.pem"})"), "1:57", "not an absolute path"},
        {with_tls("tcp://h:1", R"({"CAFile":"/ca\u0000.pem"})"), "1:57", "control character"},
        {with_tls("tcp://h:1", R"({"CAFile":"/ca","CertFile":"c","KeyFile":"/k"})"), "1:74", "not an absolute path"},
        {with_tls("tcp://h:1", R"({"CAFile":"/ca","CertFile":"/c"})"), "1:47", "no \"KeyFile\""},
        {with_tls("tcp://h:1", R"({"CertFile":"/c","KeyFile":"k"})"), "1:74", "not an absolute path"},
        {with_tls("tcp://h:1", "{\"CAFile\":\"/c\x7f\"}"), "1:57", "control character"},
        {with_tls("tcp://h:1", R"({"CAFile":"/ca","KeyFile":"/k"})"), "1:47", "no \"CertFile\""},
        {with_tls("http://h:1", R"({"CAFile":"/ca"})"), "1:36", "contradicts"},
        {std::string(30'000, '['), "1:", "not JSON"},
        {"{\"Name\":\"moby\",\"x\":" + std::string(20'000, '[') + std::string(20'000, ']') + "}", "1:1",
         "\"Addr\" is missing"},
    };
    for (const Row& row : rows) {
        const PluginDefinition definition = json(row.text);
        INFO(row.text.substr(0, 200) << "\n" << definition.reason << "\n" << definition.remedy);
        CHECK(definition.problem == Problem::malformed);
        CHECK_FALSE(definition.endpoint);
        CHECK_THAT(definition.reason, Catch::StartsWith("/etc/p/moby.json:" + std::string{row.place}));
        CHECK_THAT(definition.reason, Catch::Contains(row.reason));
        CHECK_FALSE(definition.remedy.empty());
        for (const char c : definition.reason + definition.remedy) REQUIRE((c >= ' ' && c <= '~'));
    }
    CHECK_THAT(json(with_tls("http://h:1", "{}")).remedy, Catch::StartsWith("write https://h:1 "));
}
