#include "cli/output/format.h"

#include <array>
#include <catch2/catch.hpp>
#include <fstream>

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
    CHECK_THAT(problem("{{range .Implements}}{{else if .Name}}{{end}}"),
               Catch::Contains("{{else if}} belongs to {{if}} alone; in a {{range}} or a {{with}} write "
                               "{{else}}{{if …}}…{{end}}{{end}}"));
    CHECK_THAT(problem("{{if .Name}}{{else with .Name}}{{end}}"), Catch::Contains("belongs to {{with}} alone"));
    CHECK_THAT(problem("{{" + std::string(3000, '(') + "}}"), Catch::Contains("nested too deeply"));
}

TEST_CASE("docker's functions and Go's do what they do there", "[cli]") {
    CHECK(filled("{{upper \"ab\"}}{{lower \"AB\"}}{{title \"ab cd\"}}") == "ABabAb Cd");
    CHECK(filled("{{join .Implements \"; \"}}") == "X; Y");
    CHECK(filled("{{join (split \"a:b:c\" \":\") \"-\"}}") == "a-b-c");
    CHECK(filled("{{join (split \"aéb\" \"\") \"-\"}}") == "a-é-b");
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
    CHECK(filled("{{with \"\"}}a{{else with .TLS}}{{.Verify}}{{else}}c{{end}}") == "none");
    CHECK(filled("{{$n := 1}}{{if true}}{{$n = 2}}{{end}}{{$n}}") == "2");
    CHECK(filled("a  {{- /* no */ -}}  b {{- 1 }} {{ 2 -}} c") == "ab1 2c");
    CHECK(filled("{{\"}}\"}}{{`\\n`}}") == "}}\\n");
}

TEST_CASE("what is printed through functions is printable, too", "[cli]") {
    CHECK(filled("{{print .Name}}{{printf \"%s\" .Name}}{{range split .Name \"x\"}}{{.}}{{end}}") ==
          "a\\x1ba\\x1ba\\x1b");
}

TEST_CASE("only the template's own control characters reach a terminal", "[cli]") {
    rapidjson::Document hostile;
    hostile.Parse(R"({"Name":"x\ty\nz","Implements":["a\n","b"],"TLS":{"k\n":"v"},"Attempts":"\u202e"})");
    const auto text = [&](std::string_view format) {
        const auto parsed = Template::parse(format, kFields);
        REQUIRE(parsed);
        return parsed->apply(hostile);
    };
    const std::string name = "x\\x09y\\x0az";
    CHECK(text("{{.Name}}{{print .Name}}{{printf .Name}}") == name + name + name);
    CHECK(text("{{println .Name}}") == name + "\n");
    CHECK(text("{{printf \"%s\\t%-12v|\\n\" .Name .Name}}") == name + "\t" + name + " |\n");
    CHECK(text("{{printf \"%q\" .Name}}{{json .Name | println}}") == "\"x\\ty\\nz\"\"x\\ty\\nz\"\n");
    CHECK(text("{{$end := \"\\n\"}}{{print .Name $end | upper | print}}") == "X\\X09Y\\X0AZ\n");
    CHECK(text("{{\"a\\tb\"}}{{or \"\" \"\\n\"}}") == "a\tb\n");
    CHECK(text("{{join .Implements \"\\n\"}}|{{print .Implements}}") == "a\\x0a\nb|a\\x0a,b");
    CHECK(text("{{range split .Name \"\\n\"}}<{{print .}}>{{end}}") == "<x\\x09y><z>");
    CHECK(text("{{range $key, $value := .TLS}}{{print $key}}{{end}}{{print .TLS}}") == "k\\x0a{\"k\\n\":\"v\"}");
    CHECK(text("{{json .Attempts}}{{print (json .Attempts)}}{{.Attempts}}") == "\"\\u202e\"\"\\u202e\"\\xe2\\x80\\xae");
}

TEST_CASE("a template that makes too much is given up", "[cli]") {
    const auto grows = Template::parse(
        "{{$x := \"0123456789\"}}{{range split \"" + std::string(24, ',') + "\" \",\"}}{{$x = print $x $x}}{{end}}",
        kFields);
    REQUIRE(grows);
    CHECK_THROWS_WITH(grows->apply(object()), Catch::Contains("more than 128 MiB"));
    const auto writes =
        Template::parse("{{$x := printf \"%0999d\" 0}}{{range split $x \"0\"}}{{range split $x \"0\"}}" +
                            std::string(20'000, 'x') + "{{end}}{{end}}",
                        kFields);
    REQUIRE(writes);
    CHECK_THROWS_WITH(writes->apply(object()), Catch::Contains("leave something out"));
}

#ifndef __SANITIZE_ADDRESS__  // which keeps what was freed
/// The most memory that this process had since, in KiB, or had ever.
long most_memory(bool since_now) {
    if (since_now) std::ofstream{"/proc/self/clear_refs"} << 5;
    std::ifstream status{"/proc/self/status"};
    for (std::string word; status >> word;) {
        if (word == "VmHWM:") return status >> word ? std::stol(word) : 0;
    }
    return 0;
}

TEST_CASE("what an item of a range has made goes with it", "[cli]") {
    const auto parsed = Template::parse(
        "{{range split (printf \"%0999d\" 0) \"0\"}}{{range split (printf \"%0100d\" 0) \"0\"}}"
        "{{$x := printf \"%999s\" \"x\"}}{{end}}{{end}}",
        kFields);
    REQUIRE(parsed);
    const long before = most_memory(true);
    CHECK(parsed->apply(object()).empty());
    CHECK(most_memory(false) - before < 30'000);  // of 100 MB
}
#endif

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
