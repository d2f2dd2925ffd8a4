#include <catch2/catch.hpp>
#include <string>

#include "common/json.h"
#include "daemon/managed/json_field.h"
#include "daemon/managed/plugin_settings.h"

using namespace brokerd;

namespace {

/// With as many variables, each settable.
PluginConfig config_with(std::size_t variables) {
    std::string env;
    for (std::size_t i = 0; i < variables; ++i)
        env += (i == 0 ? "" : ",") + std::string{R"({"name":"V)"} + std::to_string(i) + R"(","settable":["value"]})";
    auto config = PluginConfig::parse(R"({"entrypoint":["/x"],"interface":{"socket":"x.sock"},"env":[)" + env +
                                      R"(],"args":{"name":"args","value":[],"settable":["value"]}})");
    if (!config) throw std::runtime_error{config.error().str()};
    return *config;
}

/// "refused", or whether the next start of brokerd can read what was kept.
std::string kept(const PluginConfig& config, const std::vector<std::string>& arguments) {
    const auto settings = apply_arguments(config, PluginSettings::defaults_of(config), arguments);
    if (!settings) return "refused";
    const auto again =
        PluginSettings::parse(json_text([&](JsonWriter& writer) { settings->write_docker_json(writer); }));
    return again && *again == *settings ? "kept" : "lost";
}

}  // namespace

TEST_CASE("a variable that can be set can be read again, with its name", "[managed]") {
    const PluginConfig config = config_with(1);
    CHECK(kept(config, {"V0=" + std::string(kMaxConfigText - 3, 'x')}) == "kept");
    CHECK(kept(config, {"V0=" + std::string(kMaxConfigText - 2, 'x')}) == "refused");
}

TEST_CASE("as many arguments as can be set can be read again", "[managed]") {
    const PluginConfig config = config_with(1);
    CHECK(kept(config, {"args=" + std::string(kMaxConfigItems - 1, ' ')}) == "kept");
    CHECK(kept(config, {"args=" + std::string(kMaxConfigItems, ' ')}) == "refused");
}

TEST_CASE("settings that can be set can be read again, all together", "[managed]") {
    const PluginConfig config = config_with(40);
    std::vector<std::string> arguments;
    for (std::size_t i = 0; i < 31; ++i) arguments.push_back("V" + std::to_string(i) + '=' + std::string(130'000, 'x'));
    CHECK(kept(config, arguments) == "kept");
    for (std::size_t i = 31; i < 40; ++i)
        arguments.push_back("V" + std::to_string(i) + '=' + std::string(130'000, 'x'));
    CHECK(kept(config, arguments) == "refused");
}

TEST_CASE("a config's variable that settings could not hold is refused", "[managed]") {
    const auto parse = [](std::size_t size) {
        return PluginConfig::parse(
            R"({"entrypoint":["/x"],"interface":{"socket":"x.sock"},"env":[{"name":"V","value":")" +
            std::string(size, 'x') + R"("}]})");
    };
    CHECK(parse(kMaxConfigText - 2));
    REQUIRE_FALSE(parse(kMaxConfigText - 1));
    CHECK(parse(kMaxConfigText - 1).error().pointer == "/env/0/value");
}
