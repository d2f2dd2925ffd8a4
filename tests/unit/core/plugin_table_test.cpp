#include "tests/unit/core/plugin_table_fixture.h"

using namespace brokerd;
using namespace std::chrono_literals;

namespace {

/// No plugin listens: what is shown here is what brokerd does around them.
using Fixture = test::PluginTableFixture;

}  // namespace

TEST_CASE_METHOD(Fixture, "a plugin is published as soon as it is defined, and fails with its reason", "[core]") {
    table.apply("x", unreachable("x"));
    CHECK(state("x") == "activating");
    CHECK(table.find("x")->published.size() == 2);
    CHECK(std::filesystem::is_socket(directory / "e/x.sock"));
    run_until_state("x", "failed");
    CHECK(table.find("x")->reason.find("no such socket") != std::string::npos);
    const auto findings = table.doctor();
    REQUIRE(findings.size() == 1);
    CHECK(findings[0].problem == "unreachable");
    CHECK_FALSE(findings[0].remedy.empty());
    CHECK(actions() == std::vector<std::string>{"discovered", "activating", "failed"});
}

TEST_CASE_METHOD(Fixture, "a plugin that moves keeps its published socket", "[core]") {
    table.apply("x", unreachable("x"));
    struct stat before {};
    REQUIRE(::lstat((directory / "e/x.sock").c_str(), &before) == 0);
    table.apply("x", definition("x", "tcp://127.0.0.1:1"));
    struct stat after {};
    REQUIRE(::lstat((directory / "e/x.sock").c_str(), &after) == 0);
    CHECK(before.st_ino == after.st_ino);
    CHECK(table.find("x")->endpoint == "tcp://127.0.0.1:1");
}

TEST_CASE_METHOD(Fixture, "a plugin that is no longer defined leaves nothing", "[core]") {
    table.apply("x", unreachable("x"));
    table.apply("x", std::nullopt);
    CHECK(state("x") == "absent");
    CHECK(std::filesystem::is_empty(directory / "e"));
    CHECK(actions().back() == "gone");
}

TEST_CASE_METHOD(Fixture, "an invalid definition is listed with its reason and not published", "[core]") {
    const PluginDefinition bad = invalid("x", PluginDefinition::Problem::malformed);
    table.apply("x", bad);
    CHECK(state("x") == "invalid");
    CHECK(table.find("x")->reason == bad.reason + "; " + bad.remedy);
    CHECK(std::filesystem::is_empty(directory / "e"));
    CHECK(table.doctor().at(0).problem == "invalid");
    table.apply("x", unreachable("x"));
    CHECK(state("x") == "activating");
    table.apply("x", bad);
    CHECK(state("x") == "invalid");
    CHECK(std::filesystem::is_empty(directory / "e"));
}

TEST_CASE_METHOD(Fixture, "a look-up waits until the plugin has settled", "[core]") {
    table.apply("x", unreachable("x"));
    std::string settled;
    table.when_settled("x", 10s, [&](const auto& view) { settled = view->state; });
    run_until([&] { return !settled.empty(); });
    CHECK(settled == "failed");
    bool absent = false;
    table.when_settled("y", 10s, [&](const auto& view) { absent = !view; });
    CHECK(absent);
}

TEST_CASE_METHOD(Fixture, "somebody who waits for a plugin learns that it is gone", "[core]") {
    table.apply("x", unreachable("x"));
    bool gone = false;
    table.when_settled("x", 10s, [&](const auto& view) { gone = !view; });
    table.apply("x", std::nullopt);
    CHECK(gone);
}

TEST_CASE_METHOD(Fixture, "capabilities asked for in vain are found by doctor, bounded in number", "[core]") {
    table.apply("x", unreachable("x"));
    for (int i = 0; i < 100; ++i) table.note_missing_capability("x", "Capability" + std::to_string(i));
    run_until_state("x", "failed");
    std::size_t found = 0;
    for (const auto& finding : table.doctor()) found += finding.problem == "wrong-capability" ? 1U : 0U;
    CHECK(found == 16);
}

TEST_CASE_METHOD(Fixture, "doctor names what is wrong with a definition", "[core]") {
    using Problem = PluginDefinition::Problem;
    const auto [problem, name] =
        GENERATE(Catch::Generators::table<Problem, std::string>({{Problem::malformed, "invalid"},
                                                                 {Problem::unreadable, "invalid"},
                                                                 {Problem::bad_name, "invalid"},
                                                                 {Problem::name_mismatch, "name-mismatch"},
                                                                 {Problem::unsafe_owner, "unsafe-owner"}}));
    table.apply("x", invalid("x", problem));
    CHECK(findings() == std::vector<std::string>{"x error " + name});
    table.apply("x", std::nullopt);
    CHECK(findings().empty());
    table.apply("x", std::nullopt);  // it has gone already
    CHECK(actions() == std::vector<std::string>{"invalid", "gone"});
}
