#include "cli/output/format.h"

#include <array>
#include <catch2/catch.hpp>

namespace brokerd::cli {
namespace {

constexpr std::array<std::string_view, 5> kFields{"Name", "Implements", "TLS", "TLS.Verify", "Attempts"};

rapidjson::Document object() {
    rapidjson::Document document;
    document.Parse(R"({"Name":"a\u001b","Implements":["X","Y"],"TLS":{"Verify":"none"},"Attempts":3})");
    return document;
}

std::string filled(std::string_view text) {
    const auto parsed = Template::parse(text, kFields);
    REQUIRE(parsed);
    return parsed->apply(object());
}

std::string problem(std::string_view text) {
    const auto parsed = Template::parse(text, kFields);
    REQUIRE_FALSE(parsed);
    return parsed.error().message;
}

TEST_CASE("a template stands for the fields of an object", "[cli]") {
    CHECK(filled("{{.Name}}") == "a\\x1b");
    CHECK(filled("<{{ .Attempts }}>\\t{{.Implements}}\\n") == "<3>\tX,Y\n");
    CHECK(filled("{{.TLS.Verify}} {{.TLS}}") == "none {\"Verify\":\"none\"}");
    CHECK(filled("{{json .Implements}}{{json .Name}}") == "[\"X\",\"Y\"]\"a\\u001B\"");
    CHECK(filled("{{json .}}").substr(0, 20) == "{\"Name\":\"a\\u001B\",\"I");
    CHECK(filled("") == "");
    CHECK(filled("no field \\x }}") == "no field \\x }}");
}

TEST_CASE("an absent member is nothing", "[cli]") {
    const auto parsed = Template::parse("[{{.Name}}{{.TLS.Verify}}]{{json .TLS}}", kFields);
    REQUIRE(parsed);
    CHECK(parsed->apply(rapidjson::Document{rapidjson::kObjectType}) == "[]null");
}

TEST_CASE("a template that cannot be filled is explained", "[cli]") {
    CHECK_THAT(problem("{{.Nmae}}"), Catch::Contains("no field .Nmae") && Catch::Contains(".Name, .Implements"));
    CHECK_THAT(problem("{{.Name.X}}"), Catch::Contains("no field .Name.X"));
    CHECK_THAT(problem("{{.Name"), Catch::Contains("no }}"));
    for (const char* text : {"{{}}", "{{.}}", "{{Name}}", "{{range .Name}}", "{{.Name | upper}}", "{{json}}"}) {
        CAPTURE(text);
        CHECK_THAT(problem(text), Catch::Contains("{{json .}}"));
    }
}

TEST_CASE("a format is the command's own, JSON lines, a template, or a table", "[cli]") {
    std::vector<rapidjson::Document> objects;
    objects.push_back(object());
    objects.push_back(object());
    CHECK(Format::parse("", kFields)->is_default());
    CHECK(Format::parse("table", kFields)->is_default());
    CHECK(Format::parse("{{.Attempts}}", kFields)->lines(objects) == "3\n3\n");
    CHECK(Format::parse("table {{.Attempts}}\\t{{.TLS.Verify}}", kFields)->lines(objects) ==
          "ATTEMPTS   VERIFY\n3          none\n3          none\n");
    const std::string json = Format::parse("json", kFields)->lines(objects);
    CHECK(std::count(json.begin(), json.end(), '\n') == 2);
    CHECK_FALSE(Format::parse("table {{.X}}", kFields));
}

}  // namespace
}  // namespace brokerd::cli
