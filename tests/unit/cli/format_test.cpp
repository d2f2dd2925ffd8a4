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
    CHECK(filled("{{.}}") == filled("{{json .}}"));
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
    CHECK_THAT(problem("{{}}"), Catch::Contains("{{json .Field}}"));
    CHECK_THAT(problem("{{Name}}"), Catch::Contains("functions are and, eq"));
    CHECK_THAT(problem("{{define \"x\"}}"), Catch::Contains("cannot use \"define\""));
    CHECK_THAT(problem("{{if .Name}}x"), Catch::Contains("no {{end}}"));
    CHECK_THAT(problem("x{{end}}"), Catch::Contains("too many"));
    CHECK_THAT(problem("{{range .Name}}{{$.Nmae}}{{end}}"), Catch::Contains("no field .Nmae"));
    for (const char* text :
         {"{{.Name | .Name}}", "{{(.Name}}", "{{.Name)}}", "{{\"x}}", "{{lower upper}}", "{{.Name .Name}}", "{{end}}",
          "{{else}}", "{{if}}{{end}}", "{{if .Name}}{{else}}{{else}}{{end}}", "{{with .Name}}{{else if .Name}}{{end}}",
          "{{#}}", "{{.Name |}}"}) {
        CAPTURE(text);
        CHECK_FALSE(problem(text).empty());
    }
    CHECK_THAT(problem("{{" + std::string(3000, '(') + "}}"), Catch::Contains("nested too deeply"));
}

TEST_CASE("docker's functions and Go's do what they do there", "[cli]") {
    CHECK(filled("{{upper \"ab\"}}{{lower \"AB\"}}{{title \"ab cd\"}}") == "ABabAb Cd");
    CHECK(filled("{{join .Implements \"; \"}}") == "X; Y");
    CHECK(filled("{{join (split \"a:b:c\" \":\") \"-\"}}") == "a-b-c");
    CHECK(filled("<{{pad \"x\" 1 2}}>{{pad \"\" 1 2}}") == "< x  >");
    CHECK(filled("{{truncate \"abcdef\" 3}}{{truncate \"ab\" 3}}{{truncate \"aé\" 2}}") == "abcaba");
    CHECK(filled("{{println .Attempts \"x\"}}") == "3 x\n");
    CHECK(filled("{{printf \"%-4s|%4d|%03d|%q|%v%%\" \"a\" 7 7 \"q\" .Implements}}") == "a   |   7|007|\"q\"|X,Y%");
    CHECK(filled("{{len .Implements}}{{index .Implements 1}}{{index .TLS \"Verify\"}}{{index .Implements 9}}") ==
          "2Ynone");
    CHECK(filled("{{eq .Attempts 3}} {{ne .Attempts 3}} {{lt 1 2}} {{ge 1 2}} {{eq .TLS.Verify \"a\" \"none\"}}") ==
          "true false true false true");
    CHECK(filled("{{and .Attempts \"x\"}} {{or \"\" \"y\"}} {{not true}}") == "x y false");
    CHECK(filled("{{.TLS.Verify | upper | printf \"<%s>\"}}") == "<NONE>");
    CHECK(filled("{{(index .Implements 0) | lower}}{{json (split \"a b\" \" \")}}") == "x[\"a\",\"b\"]");
}

TEST_CASE("a template chooses and repeats", "[cli]") {
    CHECK(
        filled(
            "{{if .Attempts}}yes{{else}}no{{end}}{{if eq .Attempts 4}}4{{else if eq .Attempts 3}}3{{else}}?{{end}}") ==
        "yes3");
    CHECK(filled("{{range .Implements}}<{{.}}>{{end}}{{range .Name}}{{else}}none{{end}}") == "<X><Y>none");
    CHECK(filled("{{range $i, $x := .Implements}}{{$i}}={{$x}}/{{$.Attempts}} {{end}}") == "0=X/3 1=Y/3 ");
    CHECK(filled("{{range $key, $x := .TLS}}{{$key}}={{$x}}{{end}}") == "Verify=none");
    CHECK(filled("{{with .TLS}}{{.Verify}}{{end}}{{with $x := .Attempts}}{{$x}}{{end}}") == "none3");
    CHECK(filled("{{$n := 1}}{{if true}}{{$n = 2}}{{end}}{{$n}}") == "2");
    CHECK(filled("a  {{- /* no */ -}}  b {{- 1 }} {{ 2 -}} c") == "ab1 2c");
    CHECK(filled("{{\"}}\"}}{{`\\n`}}") == "}}\\n");
}

TEST_CASE("what is printed through functions is printable, too", "[cli]") {
    CHECK(filled("{{print .Name}}{{printf \"%s\" .Name}}{{range split .Name \"x\"}}{{.}}{{end}}") ==
          "a\\x1ba\\x1ba\\x1b");
}

TEST_CASE("lists look as docker's inspect has them where that is asked for", "[cli]") {
    const auto parsed = Template::parse("{{.Implements}} {{json .Implements}}", kFields, Template::ListStyle::brackets);
    REQUIRE(parsed);
    CHECK(parsed->apply(object()) == "[X Y] [\"X\",\"Y\"]");
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
    CHECK(Format::parse("table {{upper .Name}}\\t{{if .TLS}}{{.Attempts}}{{end}}", kFields)
              ->lines(objects)
              .substr(0, 15) == "NAME    ATTEMPT");
    const std::string json = Format::parse("json", kFields)->lines(objects);
    CHECK(std::count(json.begin(), json.end(), '\n') == 2);
    CHECK_FALSE(Format::parse("table {{.X}}", kFields));
}

}  // namespace
}  // namespace brokerd::cli
