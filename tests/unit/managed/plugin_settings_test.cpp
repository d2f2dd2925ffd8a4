#include "daemon/managed/plugin_settings.h"

#include <catch2/catch.hpp>
#include <string>

#include "daemon/managed/config_parts.h"

using namespace brokerd;

namespace {

PluginConfig config_of(const std::string& members) {
    auto config = PluginConfig::parse(R"({"entrypoint":["/x"],"interface":{"socket":"x.sock"},)" + members + "}");
    if (!config) throw std::runtime_error{config.error().str()};
    return *config;
}

constexpr const char* kMembers = R"(
    "env":[{"name":"A","value":"1","settable":["value"]},{"name":"B","settable":["value"]},{"name":"C","value":"c"}],
    "mounts":[{"name":"m","source":"/tmp","destination":"/mnt","type":"bind","settable":["source"]},
              {"name":"n","destination":"/nn","type":"tmpfs","settable":["source"]}],
    "args":{"name":"args","value":["a"],"settable":["value"]},
    "linux":{"devices":[{"name":"fuse","path":"/dev/fuse","settable":["path"]},{"name":"d2","settable":["path"]}]})";

std::string error_of(const PluginConfig& config, const std::vector<std::string>& arguments) {
    const auto result = apply_arguments(config, PluginSettings::defaults_of(config), arguments);
    return result ? "applied" : result.error().message;
}

std::string json(const PluginSettings& settings) {
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    settings.write_docker_json(writer);
    return buffer.GetString();
}

}  // namespace

TEST_CASE("default settings are Docker's", "[managed]") {
    const PluginSettings settings = PluginSettings::defaults_of(config_of(kMembers));
    CHECK(settings.env.items() == std::vector<std::string>{"A=1", "C=c"});
    CHECK(settings.args.items() == std::vector<std::string>{"a"});
    CHECK(settings.mounts.size() == 2);
    CHECK(settings.devices.size() == 2);
    CHECK(json(PluginSettings::defaults_of(config_of(R"("description":"")"))) ==
          R"({"Args":[],"Devices":[],"Env":[],"Mounts":[]})");
}

TEST_CASE("settings of Docker 1.12's documentation are read, null and all", "[managed]") {
    const auto settings = PluginSettings::parse(R"({"Devices": null, "Args": null, "Env": [], "Mounts": []})");
    REQUIRE(settings);
    CHECK(json(*settings) == R"({"Args":null,"Devices":null,"Env":[],"Mounts":[]})");
    CHECK(PluginSettings::parse(R"({"env":["NOVALUE"]})").error().pointer == "/env/0");
    CHECK(PluginSettings::parse(R"({"mounts":[{"destination":"x"}]})").error().pointer == "/mounts/0/destination");
}

TEST_CASE("set takes Docker's syntax", "[managed]") {
    const PluginConfig config = config_of(kMembers);
    const auto settings =
        apply_arguments(config, PluginSettings::defaults_of(config),
                        {"A=2=3", "B.value=b", "m.source=/srv", "fuse=/dev/null", "args=-v  x", "A=4"});
    REQUIRE(settings);
    CHECK(settings->env.items() == std::vector<std::string>{"A=4", "C=c", "B=b"});
    CHECK(settings->mounts[0].source == "/srv");
    CHECK(settings->devices[0].path == "/dev/null");
    CHECK(settings->args.items() == std::vector<std::string>{"-v", "", "x"});
    const auto open_ended = apply_arguments(config, *settings, {"args=a "});
    REQUIRE(open_ended);
    CHECK(open_ended->args.items() == std::vector<std::string>{"a", ""});
    const auto cleared = apply_arguments(config, *settings, {"A", "args=", "m="});
    REQUIRE(cleared);
    CHECK(cleared->env[0] == "A=");
    CHECK(cleared->args.empty());
    CHECK(cleared->mounts[0].source == "");
}

TEST_CASE("a wrong argument is refused in Docker's words", "[managed]") {
    const auto [argument, message] = GENERATE(table<std::string, std::string>({
        {"=3", "invalid format, must be <name>[.<field>][=<value>]"},
        {"", "invalid format, must be <name>[.<field>][=<value>]"},
        {"Z=3", "setting \"Z\" not found in the plugin configuration"},
        {"C=3", "\"C\" is not settable"},
        {"A.foo=3", "\"A.foo\" is not settable"},
        {"m.path=/x", "\"m.path\" is not settable"},
        {"n=/x", "Plugin config has no mount source"},
        {"d2=/dev/null", "Plugin config has no device path"},
        {"m=relative", "the source of mount \"m\" must be an absolute path"},
        {"m=/a/../b", "the source of mount \"m\" must not have \".\" or \"..\" in it"},
        {"fuse=x", "the path of device \"fuse\" must be an absolute path"},
        {".x=1", "setting \".x\" not found in the plugin configuration"},
        {"A=" + std::string(131073, 'x'), "the value of \"A\" is longer than 131072 bytes"},
        {std::string{"A=a\0b", 5}, "the value of \"A\" contains a NUL character"},
    }));
    CHECK(error_of(config_of(kMembers), {argument}) == message);
    // And nothing of what was right before it is kept: the answer is only an error.
    CHECK(error_of(config_of(kMembers), {"A=2", argument}) == message);
}

TEST_CASE("an upgrade keeps what the operator set", "[managed]") {
    const PluginConfig before = config_of(kMembers);
    const auto settings =
        apply_arguments(before, PluginSettings::defaults_of(before), {"A=mine", "B=b", "m=/srv", "args=x y"});
    REQUIRE(settings);
    const PluginConfig after = config_of(R"(
        "env":[{"name":"A","value":"new default","settable":["value"]},{"name":"N","value":"n"}],
        "mounts":[{"name":"m","source":"/var","destination":"/elsewhere","type":"bind","settable":["source"]}],
        "args":{"name":"args","value":["z"],"settable":["value"]})");
    const MergedSettings merged = merge_for_upgrade(before, *settings, after);
    CHECK(merged.settings.env.items() == std::vector<std::string>{"A=mine", "N=n"});
    CHECK(merged.settings.mounts[0].source == "/srv");
    CHECK(merged.settings.mounts[0].destination == "/elsewhere");
    CHECK(merged.settings.args.items() == std::vector<std::string>{"x", "y"});
    REQUIRE(merged.notes.size() == 1);
    CHECK(merged.notes[0].find("\"B\" was set to \"b\"") != std::string::npos);
}

TEST_CASE("a secret that an upgrade drops is not told", "[managed]") {
    const PluginConfig before = config_of(R"("env":[{"name":"DB_PASSWORD","settable":["value"]},
        {"name":"DB","settable":["value"]}],"args":{"name":"args","value":[],"settable":["value"]})");
    const auto settings = apply_arguments(before, PluginSettings::defaults_of(before),
                                          {"DB_PASSWORD=hunter2", "DB=db://u:hunter2@h", "args=--token hunter2"});
    REQUIRE(settings);
    const MergedSettings merged = merge_for_upgrade(before, *settings, config_of(R"("description":"new")"));
    REQUIRE(merged.notes.size() == 3);
    CHECK(merged.notes[0].starts_with("env \"DB_PASSWORD\" was set to \"********\"; "));
    for (const std::string& note : merged.notes) CHECK(note.find("hunter2") == std::string::npos);
}

TEST_CASE("the values of a plugin's settings that are secrets", "[managed]") {
    const PluginConfig config =
        config_of(R"("env":[{"name":"TOKEN","value":"x=y"},{"name":"PASSWORD"},{"name":"A","value":"b"}])");
    CHECK(secret_values(PluginSettings::defaults_of(config)) == std::vector<std::string>{"x=y"});
}

TEST_CASE("what inspect shows in place of a secret is no value", "[managed]") {
    const PluginConfig config = config_of(R"("env":[{"name":"TOKEN","value":"x","settable":["value"]}])");
    CHECK(error_of(config, {"TOKEN=********"}) ==
          "the value of \"TOKEN\" has ******** where inspect hides a secret; give it as it is to be");
    CHECK(apply_arguments(config, PluginSettings::defaults_of(config), {"TOKEN=*"}));
}

TEST_CASE("an upgrade takes new defaults where nothing was set", "[managed]") {
    const PluginConfig before = config_of(kMembers);
    const PluginConfig after = config_of(R"(
        "env":[{"name":"A","value":"new","settable":["value"]}],
        "mounts":[{"name":"m","source":"/var","destination":"/mnt","type":"bind","settable":["source"]}])");
    const MergedSettings merged = merge_for_upgrade(before, PluginSettings::defaults_of(before), after);
    CHECK(merged.settings == PluginSettings::defaults_of(after));
    CHECK(merged.notes.empty());
}

TEST_CASE("an upgrade does not set what is no longer settable", "[managed]") {
    const PluginConfig before = config_of(kMembers);
    const auto settings =
        apply_arguments(before, PluginSettings::defaults_of(before), {"m=/etc", "fuse=/dev/kmsg", "args=q"});
    REQUIRE(settings);
    const PluginConfig after =
        config_of(R"("mounts":[{"name":"m","source":"/tmp","destination":"/mnt","type":"bind"}])");
    const MergedSettings merged = merge_for_upgrade(before, *settings, after);
    CHECK(merged.settings == PluginSettings::defaults_of(after));
    CHECK(merged.notes.size() == 3);
}

TEST_CASE("an upgrade needs nothing set that is so already", "[managed]") {
    const PluginConfig before = config_of(kMembers);
    const auto settings =
        apply_arguments(before, PluginSettings::defaults_of(before), {"A=2", "m=/srv", "fuse=/dev/null", "args=b"});
    REQUIRE(settings);
    const PluginConfig after = config_of(R"(
        "env":[{"name":"A","value":"2"}],
        "mounts":[{"name":"m","source":"/srv","destination":"/mnt","type":"bind"}],
        "args":{"name":"args","value":["b"]},
        "linux":{"devices":[{"name":"fuse","path":"/dev/null"}]})");
    const MergedSettings merged = merge_for_upgrade(before, *settings, after);
    CHECK(merged.notes.empty());
    CHECK(merged.settings == PluginSettings::defaults_of(after));
}

TEST_CASE("an upgrade does not set a device that is there and no longer settable", "[managed]") {
    const PluginConfig before = config_of(kMembers);
    const auto settings = apply_arguments(before, PluginSettings::defaults_of(before), {"fuse=/dev/null"});
    REQUIRE(settings);
    const MergedSettings merged =
        merge_for_upgrade(before, *settings, config_of(R"("linux":{"devices":[{"name":"fuse","path":"/dev/fuse"}]})"));
    CHECK(merged.settings.devices[0].path == "/dev/fuse");
    REQUIRE(merged.notes.size() == 1);
    CHECK_THAT(merged.notes[0], Catch::Contains("does not let it be set"));
}

TEST_CASE("settings that lack what the config has cannot be set there", "[managed]") {
    const PluginConfig config = config_of(kMembers);
    const auto refusal = [&](const std::string& argument) {
        const auto result = apply_arguments(config, PluginSettings{}, {argument});
        return result ? "applied" : result.error().message;
    };
    CHECK(refusal("m=/srv") == "Plugin config has no mount source");
    CHECK(refusal("fuse=/dev/null") == "Plugin config has no device path");
}

TEST_CASE("which of several settable fields is meant must be said", "[managed]") {
    const PluginConfig config = config_of(R"("env":[{"name":"E","settable":["value","value"]}])");
    CHECK(error_of(config, {"E=1"}) == "multiple fields are settable, one must be specified");
    CHECK(error_of(config, {"E.value=1"}) == "applied");
}

TEST_CASE("settings have a largest number and a largest size", "[managed]") {
    const PluginConfig config = config_of(kMembers);
    CHECK_THAT(error_of(config, std::vector<std::string>(kMaxConfigItems + 1, "A=1")),
               Catch::Contains("settings at once"));
    const auto parsed = PluginSettings::parse(std::string(kMaxConfigBytes + 1, ' '));
    REQUIRE_FALSE(parsed);
    CHECK_THAT(parsed.error().str(), Catch::Contains("the settings are longer than 4 MiB"));
}

TEST_CASE("a path with a NUL is none", "[managed]") {
    const std::string_view path{"/a\0b", 4};
    CHECK(absolute_path_fault(path) == "contains a NUL character");
    CHECK(mount_source_fault(PluginMount{}, path) == "contains a NUL character");
}
