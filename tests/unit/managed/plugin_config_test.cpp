#include "daemon/managed/plugin_config.h"

#include <catch2/catch.hpp>
#include <string>

#include "daemon/managed/json_field.h"

using brokerd::PluginConfig;

namespace {

/// The seeds' own example, in the flat form of Docker 1.12.
constexpr const char* kSeedConfig = R"({
    "description": "sshFS plugin for Docker",
    "documentation": "https://docs.docker.com/engine/extend/plugins/",
    "entrypoint": ["/go/bin/docker-volume-sshfs"],
    "network": {"type": "host"},
    "interface" : {"types": ["docker.volumedriver/1.0"], "socket": "sshfs.sock"},
    "capabilities": ["CAP_SYS_ADMIN"]
})";

/// What dockerd 20.10 stored as the config blob of a plugin with every field.
constexpr const char* kFullBlob =
    R"({"Args":{"Description":"y","Name":"args","Settable":["value"],"Value":["a","b"]},"Description":"full",)"
    R"("DockerVersion":"20.10.24+dfsg1","Documentation":"http://x","Entrypoint":["/bin/x","-v"],)"
    R"("Env":[{"Description":"x","Name":"A","Settable":["value"],"Value":"1"},)"
    R"({"Description":"","Name":"B","Settable":null,"Value":null},)"
    R"({"Description":"","Name":"C","Settable":[],"Value":null}],)"
    R"("Interface":{"ProtocolScheme":"moby.plugins.http/v1","Socket":"x.sock",)"
    R"("Types":["docker.volumedriver/1.0","docker.authz/2"]},"IpcHost":true,)"
    R"("Linux":{"AllowAllDevices":true,"Capabilities":["CAP_SYS_ADMIN","CAP_NET_ADMIN"],)"
    R"("Devices":[{"Description":"","Name":"fuse","Path":"/dev/fuse","Settable":["path"]},)"
    R"({"Description":"opt","Name":"n2","Path":null,"Settable":["path"]}]},)"
    R"("Mounts":[{"Description":"d","Destination":"/mnt/a","Name":"m1","Options":["rbind","rw"],)"
    R"("Settable":["source"],"Source":"/tmp","Type":"bind"},)"
    R"({"Description":"","Destination":"/mnt/b","Name":"","Options":null,"Settable":null,"Source":null,"Type":"tmpfs"}],)"
    R"("Network":{"Type":"host"},"PidHost":true,"PropagatedMount":"/data","User":{"GID":6,"UID":5},"WorkDir":"/w",)"
    R"("rootfs":{"diff_ids":["sha256:152c2f056c03283452a204a6762dda6006fd7ba4d38dcace4f200dff05a609c6"],)"
    R"("type":"layers"}})";

/// And of one with next to nothing.
constexpr const char* kMinimalBlob =
    R"({"Args":{"Description":"","Name":"","Settable":null,"Value":null},"Description":"min",)"
    R"("Documentation":"","Entrypoint":["/bin/x"],"Env":null,)"
    R"("Interface":{"Socket":"x.sock","Types":["docker.volumedriver/1.0"]},"IpcHost":false,)"
    R"("Linux":{"AllowAllDevices":false,"Capabilities":null,"Devices":null},"Mounts":null,"Network":{"Type":""},)"
    R"("PidHost":false,"PropagatedMount":"","User":{},"WorkDir":""})";

/// A valid config with `member` added.
std::string config_with(const std::string& member) {
    return R"({"entrypoint":["/bin/x"],"interface":{"types":["docker.volumedriver/1.0"],"socket":"x.sock"},)" + member +
           "}";
}

std::string fault(const std::string& bytes) {
    const auto config = PluginConfig::parse(bytes);
    return config ? "accepted" : config.error().pointer;
}

}  // namespace

TEST_CASE("the config of Docker 1.12's documentation is read", "[managed]") {
    const auto config = PluginConfig::parse(kSeedConfig);
    REQUIRE(config);
    CHECK(config->description == "sshFS plugin for Docker");
    CHECK(config->entrypoint.items() == std::vector<std::string>{"/go/bin/docker-volume-sshfs"});
    CHECK(config->network == PluginConfig::Network::host);
    CHECK(config->interface_socket == "sshfs.sock");
    CHECK(config->capabilities.items() == std::vector<std::string>{"CAP_SYS_ADMIN"});
    CHECK(config->declares("VolumeDriver"));
    CHECK_FALSE(config->declares("NetworkDriver"));
    CHECK(config->env.missing());
}

TEST_CASE("a config comes out byte for byte as dockerd 20.10 stores it", "[managed]") {
    for (const char* const blob : {kFullBlob, kMinimalBlob}) {
        const auto config = PluginConfig::parse(blob);
        REQUIRE(config);
        CHECK(config->to_blob() == blob + std::string{"\n"});
    }
}

TEST_CASE("a created config has the escapes of Go's encoder", "[managed]") {
    const auto config = PluginConfig::parse(config_with("\"description\":\"<a> & \xE2\x80\xA8\xE2\x80\xA9\""));
    REQUIRE(config);
    CHECK(config->to_blob().find(R"("Description":"\u003ca\u003e \u0026 \u2028\u2029")") != std::string::npos);
}

TEST_CASE("members match in any case, and unknown ones are skipped", "[managed]") {
    const auto config = PluginConfig::parse(
        R"({"ENTRYPOINT":["/x"],"Interface":{"SOCKET":"s"},"WorkDir":"/w","x-new":{"a":1,"a":2},"IPCHost":true})");
    REQUIRE(config);
    CHECK(config->workdir == "/w");
    CHECK(config->ipc_host);
}

TEST_CASE("null is absence, as in Go", "[managed]") {
    const auto config = PluginConfig::parse(config_with(
        R"("args":null,"env":null,"mounts":null,"linux":null,"network":null,"user":null,"workdir":null,"pidhost":null)"));
    REQUIRE(config);
    CHECK(config->mounts.missing());
    CHECK(config->network == PluginConfig::Network::unset);
}

TEST_CASE("what is wrong with a config is told by its JSON pointer", "[managed]") {
    const auto [member, pointer] = GENERATE(table<std::string, std::string>({
        {R"("description":1)", "/description"},
        {R"("description":"\u0000")", "/description"},
        {R"("entrypoint":["/y"])", ""},
        {R"("Interface":{})", ""},
        {R"("workdir":"relative")", "/workdir"},
        {R"("workdir":"/a/../b")", "/workdir"},
        {R"("network":{"type":"container:x"})", "/network/type"},
        {R"("network":[])", "/network"},
        {R"("user":{"uid":-1})", "/user/uid"},
        {R"("user":{"uid":4294967296})", "/user/uid"},
        {R"("ipchost":"yes")", "/ipchost"},
        {R"("propagatedMount":"/")", "/propagatedMount"},
        {R"("propagatedMount":"data")", "/propagatedMount"},
        {R"("env":{})", "/env"},
        {R"("env":[null])", "/env/0"},
        {R"("env":[{"name":""}])", "/env/0/name"},
        {R"("env":[{"name":"A=B"}])", "/env/0/name"},
        {R"("env":[{"name":"A"},{"name":"B"},{"name":"A"}])", "/env/2/name"},
        {R"("env":[{"name":"A","settable":["value","path"]}])", "/env/0/settable/1"},
        {R"("args":{"settable":["source"]})", "/args/settable/0"},
        {R"("args":{"value":"x"})", "/args/value"},
        {R"("mounts":[{"destination":"x"}])", "/mounts/0/destination"},
        {R"("mounts":[{"destination":"/a//b"}])", "/mounts/0/destination"},
        {R"("mounts":[{"destination":"/"}])", "/mounts/0/destination"},
        {R"("mounts":[{}])", "/mounts/0/destination"},
        {R"("mounts":[{"destination":"/a","type":"bind","source":"../etc"}])", "/mounts/0/source"},
        {R"("mounts":[{"destination":"/a","options":["rbind"],"source":"/a/../etc"}])", "/mounts/0/source"},
        {R"("mounts":[{"name":"m","destination":"/a"},{"name":"m","destination":"/b"}])", "/mounts/1/name"},
        {R"("mounts":[{"destination":"/a","settable":["destination"]}])", "/mounts/0/settable/0"},
        {R"("linux":{"capabilities":["SYS_ADMIN"]})", "/linux/capabilities/0"},
        {R"("linux":{"capabilities":["CAP_CHOWN","CAP_NOTHING"]})", "/linux/capabilities/1"},
        {R"("linux":{"devices":[{"path":"fuse"}]})", "/linux/devices/0/path"},
        {R"("linux":{"devices":[{"settable":["value"]}]})", "/linux/devices/0/settable/0"},
        {R"("linux":{"allowAllDevices":1})", "/linux/allowAllDevices"},
        {R"("linux":{"capabilities":[]},"capabilities":[])", "/capabilities"},
        {R"("rootfs":{"diff_ids":["md5:00"]})", "/rootfs/diff_ids/0"},
        {R"("user":{"uid":1,"UID":2})", "/user"},
        {R"("workdir":"/a/./b")", "/workdir"},
        {R"("workdir":"/a\u0000")", "/workdir"},
        {R"("workdir":"/)" + std::string(5000, 'x') + "\"", "/workdir"},
        {R"("mounts":[{"destination":"/a","source":"a\u0000"}])", "/mounts/0/source"},
        {R"("mounts":[{"destination":"/a","source":")" + std::string(5000, 'x') + "\"}]", "/mounts/0/source"},
        {R"("mounts":[null])", "/mounts/0"},
        {R"("linux":{"devices":[null]})", "/linux/devices/0"},
        {R"("linux":{"capabilities":[null]})", "/linux/capabilities/0"},
        {R"("rootfs":{"diff_ids":[null]})", "/rootfs/diff_ids/0"},
    }));
    INFO(member);
    CHECK(fault(config_with(member)) == pointer);
}

TEST_CASE("an interface needs a socket's file name and types of Docker's form", "[managed]") {
    const auto [interface, pointer] = GENERATE(table<std::string, std::string>({
        {R"({"socket":"x.sock"})", "accepted"},
        {R"({"socket":"x.sock","types":["docker.volumedriver"]})", "accepted"},
        {R"({"socket":"x.sock","types":["docker.volumedriver/"]})", "accepted"},  // as Docker prints the former
        {R"({"socket":"x.sock","types":["a.b.c/1.0"]})", "accepted"},
        {R"({})", "/interface/socket"},
        {R"({"socket":""})", "/interface/socket"},
        {R"({"socket":"../x.sock"})", "/interface/socket"},
        {R"({"socket":"x\n.sock"})", "/interface/socket"},
        {R"({"socket":".."})", "/interface/socket"},
        {R"({"socket":"."})", "/interface/socket"},
        {R"({"socket":")" + std::string(300, 'x') + "\"}", "/interface/socket"},
        {R"({"socket":"x.sock","types":[null]})", "/interface/types/0"},
        {R"({"socket":"x.sock","types":["volumedriver/1.0"]})", "/interface/types/0"},
        {R"({"socket":"x.sock","types":["docker./1.0"]})", "/interface/types/0"},
        {R"({"socket":"x.sock","types":["docker.x/1/2"]})", "/interface/types/0"},
        {R"({"socket":"x.sock","types":["docker.x/1.0",7]})", "/interface/types/1"},
    }));
    INFO(interface);
    CHECK(fault(R"({"entrypoint":["/x"],"interface":)" + interface + "}") == pointer);
}

TEST_CASE("what is no config at all is refused", "[managed]") {
    for (const std::string bytes : {"", "null", "[]", "7", "{", "{\"a\":1,}", "\xEF\xBB\xBF{}"}) {
        INFO(bytes);
        CHECK(fault(bytes).empty());
    }
    std::string hidden = kSeedConfig;
    hidden += '\0';
    hidden += "{}";
    CHECK_FALSE(PluginConfig::parse(hidden));
    CHECK_FALSE(PluginConfig::parse(std::string(brokerd::kMaxConfigBytes + 1, ' ')));
    CHECK_FALSE(PluginConfig::parse(std::string(1 << 20, '[')));
}

TEST_CASE("texts and lists of a config have a largest size", "[managed]") {
    const auto variables = [](std::size_t count) {
        std::string list = R"("env":[{"name":"N"})";
        for (std::size_t i = 1; i < count; ++i) list += R"(,{"name":"N)" + std::to_string(i) + "\"}";
        return config_with(list + "]");
    };
    CHECK(PluginConfig::parse(variables(brokerd::kMaxConfigItems)));
    CHECK(fault(variables(brokerd::kMaxConfigItems + 1)) == "/env");
    const auto described = [](std::size_t size) {
        return config_with("\"description\":\"" + std::string(size, 'x') + "\"");
    };
    CHECK(PluginConfig::parse(described(brokerd::kMaxConfigText)));
    CHECK(fault(described(brokerd::kMaxConfigText + 1)) == "/description");
}
