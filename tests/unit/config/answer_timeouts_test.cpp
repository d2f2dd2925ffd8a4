#include "daemon/config/answer_timeouts.h"

#include <catch2/catch.hpp>

using namespace brokerd;
using namespace std::chrono_literals;

namespace {

AnswerTimeouts::Limit seconds(const std::string& text) {
    const auto parsed = AnswerTimeouts::parse({text});
    INFO(text);
    REQUIRE(parsed);
    return parsed->general;
}

}  // namespace

TEST_CASE("without a setting every answer has two minutes", "[config]") {
    const auto none = AnswerTimeouts::parse({});
    REQUIRE(none);
    CHECK(none->general == 120s);
    CHECK(none->plugins.empty());
}

TEST_CASE("seconds may have a fraction, and zero is no deadline", "[config]") {
    CHECK(seconds("30") == 30s);
    CHECK(seconds(" 0.5\t") == 500ms);
    CHECK(seconds("0.1") == 100ms);
    CHECK(seconds("86400") == 24h);
    CHECK(seconds("0") == 0s);
    CHECK(seconds("0.000") == 0s);
    CHECK(seconds("1.0000000000000000000000000001") == 1s);
}

TEST_CASE("a name is a plugin, or a plugin and one of its methods", "[config]") {
    const auto parsed = AnswerTimeouts::parse({"5", "sshfs=30", "sshfs/VolumeDriver.Mount=300", "vieux/sshfs:latest=40",
                                               "vieux/sshfs:latest/VolumeDriver.Mount = 0", "vieux/sshfs=50",
                                               "opa/AuthZPlugin.AuthZReq=2", "my.driver=6", "vieux/my.driver=7"});
    REQUIRE(parsed);
    CHECK(parsed->general == 5s);
    auto plugins = parsed->plugins;
    CHECK(plugins.size() == 6);
    CHECK(plugins["sshfs"].general == 30s);
    CHECK(plugins["sshfs"].methods ==
          std::map<std::string, AnswerTimeouts::Limit, std::less<>>{{"VolumeDriver.Mount", 300s}});
    CHECK(plugins["vieux/sshfs:latest"].general == 40s);
    CHECK(plugins["vieux/sshfs:latest"].methods.at("VolumeDriver.Mount") == 0s);
    CHECK(plugins["vieux/sshfs"].general == 50s);
    CHECK_FALSE(plugins["opa"].general);
    CHECK(plugins["opa"].methods.at("AuthZPlugin.AuthZReq") == 2s);
    CHECK(plugins["my.driver"].general == 6s);
    CHECK(plugins["vieux/my.driver"].general == 7s);
}

TEST_CASE("a mistake is told with the value and what to write instead", "[config]") {
    const std::map<std::string, std::string> mistakes{
        {"", "\"\" is not a number of seconds"},
        {"soon", "\"soon\" is not a number of seconds"},
        {"30s", "write 0.1 to 86400"},
        {"-1", "write 0.1 to 86400"},
        {"1e3", "write 0.1 to 86400"},
        {"0x10", "write 0.1 to 86400"},
        {"inf", "write 0.1 to 86400"},
        {"1.", "write 0.1 to 86400"},
        {".5", "write 0.1 to 86400"},
        {"1.2.3", "write 0.1 to 86400"},
        {"0.01", "write 0.1 to 86400"},
        {"86401", "write 0.1 to 86400"},
        {std::string(400, '9'), "write 0.1 to 86400"},
        {"sshfs=", "\"\" is not a number of seconds"},
        {"sshfs", "\"sshfs\" is not a number of seconds"},
        {"=3", "it is empty"},
        {"../sshfs=3", "cannot be a plugin name"},
        {"a=b=3", "cannot be a plugin name"},
        {"ssh fs=3", "cannot be a plugin name"},
        {"/VolumeDriver.Mount=3", "cannot be a plugin name"},
        {"VolumeDriver.Mount=3", "write PLUGIN/VolumeDriver.Mount=SECONDS"},
        {"sshfs/VolumDriver.Mount=3", "no plugin is called by \"VolumDriver.Mount\""},
        {"sshfs/Plugin.Activate=3", "no plugin is called by \"Plugin.Activate\""},
    };
    for (const auto& [value, wanted] : mistakes) {
        const auto parsed = AnswerTimeouts::parse({value});
        INFO(value);
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().message.starts_with("answer-timeout \"" + value.substr(0, 300)));
        CHECK(parsed.error().message.find(wanted) != std::string::npos);
    }
}

TEST_CASE("nothing may be said twice", "[config]") {
    for (const auto& values : std::vector<std::vector<std::string>>{
             {"3", "4"}, {"a=3", "b=3", "a=3"}, {"a/VolumeDriver.Mount=3", "a/VolumeDriver.Mount=4"}}) {
        const auto parsed = AnswerTimeouts::parse(values);
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().message.find("given twice") != std::string::npos);
    }
}

TEST_CASE("what only resembles a method is a part of the plugin's name", "[config]") {
    const auto parsed = AnswerTimeouts::parse({"a/volume.Mount=1", "a/Volume.mount=2", "a/Volume-Driver.Mount=3",
                                               "a/Volume.=4", "a/Volume.M:1=5", "a/VolumeDriver.M9=6"});
    INFO((parsed ? std::string{} : parsed.error().message));
    REQUIRE(parsed);
    auto plugins = parsed->plugins;
    CHECK(plugins.size() == 6);
    CHECK(plugins["a/volume.Mount"].general == 1s);
    CHECK(plugins["a/Volume.mount"].general == 2s);
    CHECK(plugins["a/Volume-Driver.Mount"].general == 3s);
    CHECK(plugins["a/Volume."].general == 4s);
    CHECK(plugins["a/Volume.M:1"].general == 5s);
    CHECK(plugins["a"].methods.at("VolumeDriver.M9") == 6s);
}
