#include "daemon/discovery/search_order.h"

#include <catch2/catch.hpp>

using namespace brokerd;

namespace {

const SearchOrder& order() {
    static const SearchOrder instance{"/run/p", {"/etc/p/", "/usr/p", "/etc/p"}};
    return instance;
}

std::vector<std::string> candidate_files(std::string_view name) {
    std::vector<std::string> files;
    for (const auto& candidate : order().candidates(name)) files.push_back(order().absolute(candidate.path));
    return files;
}

}  // namespace

TEST_CASE("a name is looked up in Docker's order", "[discovery]") {
    CHECK(candidate_files("x") == std::vector<std::string>{"/run/p/x.sock", "/run/p/x/x.sock",  //
                                                           "/etc/p/x.spec", "/etc/p/x/x.spec",  //
                                                           "/etc/p/x.json", "/etc/p/x/x.json",  //
                                                           "/usr/p/x.spec", "/usr/p/x/x.spec",  //
                                                           "/usr/p/x.json", "/usr/p/x/x.json"});
    CHECK(candidate_files("a/b").at(0) == "/run/p/a/b.sock");
    CHECK(candidate_files("a/b").at(1) == "/run/p/a/b/a/b.sock");
    CHECK(order().candidates("x").at(0).source == PluginDefinition::Source::socket);
    CHECK(order().candidates("x").at(2).source == PluginDefinition::Source::spec);
    CHECK(order().candidates("x").at(4).source == PluginDefinition::Source::json);
}

TEST_CASE("a path defines one name", "[discovery]") {
    const auto name = [](std::size_t root, const std::string& path) {
        return order().name_of({root, path}).value_or("-");
    };
    CHECK(name(1, "x.spec") == "x");
    CHECK(name(1, "x/x.spec") == "x");
    CHECK(name(2, "x/x.json") == "x");
    CHECK(name(0, "x.sock") == "x");
    CHECK(name(1, "a/b.spec") == "a/b");
    CHECK(name(1, "a/b/a/b.spec") == "a/b");
    CHECK(name(1, "b/b/b.spec") == "b/b/b");
    CHECK(name(1, "x.spec.json") == "x.spec");
    CHECK(name(1, "bad name.spec") == "bad name");
    CHECK(name(0, "x.spec") == "-");
    CHECK(name(1, "x.sock") == "-");
    CHECK(name(1, ".x.spec") == "-");
    CHECK(name(1, ".d/x.spec") == "-");
    CHECK(name(1, "d/.x.spec") == "-");
    CHECK(name(1, ".spec") == "-");
    CHECK(name(1, "x.SPEC") == "-");
    CHECK(name(1, "x.spec~") == "-");
    CHECK(name(1, "") == "-");
}

TEST_CASE("names and paths agree in both directions", "[discovery]") {
    for (const char* text : {"x", "a/b", "b/b", "b/b/b", "a/b/a/b", "v/s:latest"}) {
        INFO(text);
        for (const auto& candidate : order().candidates(text))
            CHECK(order().name_of(candidate.path) == std::string{text});
    }
}

TEST_CASE("dockerd's own directories are not entered", "[discovery]") {
    const std::string id(64, 'a');
    CHECK_FALSE(SearchOrder::may_enter(0, id));
    CHECK(SearchOrder::may_enter(1, id));
    CHECK(SearchOrder::may_enter(0, id.substr(1)));
    CHECK_FALSE(SearchOrder::may_enter(0, std::string(32, '0') + std::string(32, '9')));
    CHECK(SearchOrder::may_enter(0, std::string(64, 'g')));
    CHECK(SearchOrder::may_enter(0, std::string(64, 'A')));
    CHECK(SearchOrder::may_enter(0, std::string(64, '-')));
    CHECK_FALSE(SearchOrder::may_enter(1, ".git"));
}

TEST_CASE("hidden files define nothing", "[discovery]") {
    CHECK_FALSE(SearchOrder::may_define(1, ".x.spec"));
    CHECK(SearchOrder::may_define(1, "x.spec"));
}

TEST_CASE("the root directory is a directory, too", "[discovery]") {
    CHECK(SearchOrder{"/", {"//"}}.absolute({0, ""}) == "/");
}
