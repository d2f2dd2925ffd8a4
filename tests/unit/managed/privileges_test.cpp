#include "daemon/managed/privileges.h"

#include <catch2/catch.hpp>
#include <string>

using namespace brokerd;

namespace {

PluginConfig config_of(const std::string& members) {
    auto config = PluginConfig::parse(R"({"entrypoint":["/x"],"interface":{"socket":"x.sock"},)" + members + "}");
    if (!config) throw std::runtime_error{config.error().str()};
    return *config;
}

std::string json(const Privileges& privileges) {
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    write_privileges(writer, privileges);
    return buffer.GetString();
}

const Privilege kHost{"network", "", {"host"}};
const Privilege kTmp{"mount", "", {"/tmp"}};
const Privilege kVar{"mount", "", {"/var"}};
const Privilege kCaps{"capabilities", "", {"CAP_SYS_ADMIN", "CAP_CHOWN"}};

}  // namespace

TEST_CASE("privileges are listed in Docker's order and words", "[managed]") {
    const PluginConfig config = config_of(R"(
        "network":{"type":"host"},"ipchost":true,"pidhost":true,"propagatedMount":"/data",
        "mounts":[{"source":"/tmp","destination":"/a","type":"bind"},{"destination":"/b","type":"tmpfs"},
                  {"source":"","name":"s","destination":"/c","type":"bind","settable":["source"]}],
        "linux":{"capabilities":["CAP_SYS_ADMIN"],"allowAllDevices":true,"devices":[{"path":"/dev/fuse"},{"name":"d"}]})");
    CHECK(
        json(required_privileges(config)) ==
        R"([{"Name":"network","Description":"permissions to access a network","Value":["host"]},)"
        R"({"Name":"host ipc namespace","Description":"allow access to host ipc namespace","Value":["true"]},)"
        R"({"Name":"host pid namespace","Description":"allow access to host pid namespace","Value":["true"]},)"
        R"({"Name":"mount","Description":"host path to mount","Value":["/tmp"]},)"
        R"({"Name":"mount","Description":"host path to mount","Value":[""]},)"
        R"({"Name":"device","Description":"host device to access","Value":["/dev/fuse"]},)"
        R"({"Name":"allow-all-devices","Description":"allow 'rwm' access to all devices","Value":["true"]},)"
        R"({"Name":"capabilities","Description":"list of additional capabilities required","Value":["CAP_SYS_ADMIN"]}])");
    CHECK(undisclosed_access(config).size() == 3);
}

TEST_CASE("no network, none, null and bridge need no privilege", "[managed]") {
    for (const std::string type : {"", "none", "null", "bridge"}) {
        CHECK(required_privileges(config_of(R"("network":{"type":")" + type + "\"}")).empty());
    }
    CHECK(undisclosed_access(config_of(R"("network":{"type":"bridge"})")).size() == 1);
}

TEST_CASE("what is granted is compared element by element, the first included", "[managed]") {
    CHECK(equal({}, {}));
    CHECK(equal({kHost, kTmp, kVar, kCaps}, {kCaps, kVar, kTmp, kHost}));
    CHECK(equal({kCaps}, {{"capabilities", "other words", {"CAP_CHOWN", "CAP_SYS_ADMIN"}}}));
    // CVE-2026-33997: Docker's comparison began at the second element.
    CHECK_FALSE(equal({{"mount", "", {"/nothing"}}, kCaps}, {{"mount", "", {"/etc"}}, kCaps}));
    CHECK_FALSE(equal({kHost}, {{"device", "", {"host"}}}));
    CHECK_FALSE(equal({kTmp, kTmp}, {kTmp, kVar}));
    CHECK_FALSE(equal({kTmp}, {kTmp, kTmp}));
    CHECK_FALSE(equal({}, {kHost}));
    CHECK_FALSE(equal({kHost}, {}));
    CHECK_FALSE(equal({{"capabilities", "", {"CAP_CHOWN"}}}, {kCaps}));
}

TEST_CASE("an upgrade asks for what is added", "[managed]") {
    CHECK(added({kHost, kTmp}, {kTmp, kHost}).empty());
    CHECK(added({kTmp}, {kTmp, kTmp}) == Privileges{kTmp});
    CHECK(added({kTmp, kCaps}, {kVar, {"capabilities", "", {"CAP_KILL", "CAP_CHOWN"}}}) ==
          Privileges{kVar, {"capabilities", "", {"CAP_KILL"}}});
    CHECK(consents_to_upgrade({kTmp, kVar}, {kTmp}, {kTmp, kVar}));
    CHECK(consents_to_upgrade({kVar}, {kTmp}, {kTmp, kVar}));
    CHECK_FALSE(consents_to_upgrade({}, {kTmp}, {kTmp, kVar}));
    CHECK_FALSE(consents_to_upgrade({kTmp}, {kTmp}, {kTmp, kVar}));
}

TEST_CASE("set of a settable source is the operator's consent; nothing else is", "[managed]") {
    const PluginConfig config = config_of(R"(
        "mounts":[{"name":"m","source":"/tmp","destination":"/a","type":"bind","settable":["source"]},
                  {"name":"f","source":"/var","destination":"/b","type":"bind"}])");
    const Privileges granted = required_privileges(config);
    PluginSettings settings = PluginSettings::defaults_of(config);
    CHECK(check_granted(config, settings, granted, Consent::as_granted));
    settings.mounts.items()[0].source = "/srv";
    CHECK_FALSE(check_granted(config, settings, granted, Consent::as_granted));
    const auto grant = check_granted(config, settings, granted, Consent::settable_values);
    REQUIRE(grant);
    CHECK(describe(grant->added) == "mount [/srv]");
    CHECK(describe(grant->dropped) == "mount [/tmp]");
    CHECK(check_granted(config, settings, grant->granted, Consent::as_granted));
    settings.mounts.items()[1].source = "/etc";
    CHECK_FALSE(check_granted(config, settings, granted, Consent::settable_values));
    CHECK_FALSE(check_granted(config_of(R"("network":{"type":"host"})"), {}, {}, Consent::settable_values));
}

TEST_CASE("privileges that clients send are read within limits", "[managed]") {
    CHECK(parse_privileges("")->empty());
    CHECK(parse_privileges("null\n")->empty());
    CHECK(parse_privileges("[]")->empty());
    const auto read = parse_privileges(R"([{"Name":"mount","Value":["/x"]},{"name":"y","value":null}])");
    REQUIRE(read);
    CHECK(*read == Privileges{{"mount", "", {"/x"}}, {"y", "", {}}});
    for (const std::string bytes : {"{}", "[1]", "[null]", "[{}]", R"([{"Name":"x","Value":"y"}])",
                                    R"([{"Name":"x","Value":[1]}])", R"([{"Name":"x","name":"y"}])", "["}) {
        INFO(bytes);
        CHECK_FALSE(parse_privileges(bytes));
    }
    CHECK_FALSE(parse_privileges(std::string((1 << 20) + 1, '[')));
    std::string many = "[";
    for (int i = 0; i < 5000; ++i) many += std::string{i == 0 ? "" : ","} + R"({"Name":"x"})";
    CHECK_FALSE(parse_privileges(many + "]"));
}
