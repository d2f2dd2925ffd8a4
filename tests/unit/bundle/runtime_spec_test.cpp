#include "daemon/bundle/runtime_spec.h"

#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <stdexcept>

#include "common/json_members.h"
#include "tests/unit/temporary_directory.h"

using namespace brokerd;
using namespace brokerd::test;

namespace {

PluginRecord record_of(const std::string& members) {
    auto config = PluginConfig::parse(R"({"entrypoint":["/bin/driver"],"interface":{"socket":"d.sock"})" +
                                      (members.empty() ? "" : "," + members) + "}");
    if (!config) throw std::runtime_error{config.error().str()};
    PluginRecord record;
    record.id = "4d3f";
    record.name = "vieux/driver:latest";
    record.settings = PluginSettings::defaults_of(*config);
    record.granted = required_privileges(*config, record.settings);
    record.config = std::make_shared<const PluginConfig>(*std::move(config));
    return record;
}

SpecPlaces places() {
    SpecPlaces places;
    places.rootfs = "/state/4d3f/rootfs";
    places.socket_directory = "/runtime/exec/4d3f";
    places.propagated_mount = "/state/4d3f/propagated-mount";
    places.cgroups_path = "/brokerd/4d3f";
    return places;
}

/// A spec, and what is in it by path ("process/args") as JSON.
class Spec {
public:
    explicit Spec(const PluginRecord& record, const SpecPlaces& where = places()) {
        auto text = runtime_spec(record, where, std::nullopt);
        if (!text) throw std::runtime_error{text.error().message};
        document_ = *parse_json(*text);
    }

    [[nodiscard]] const rapidjson::Value* find(std::string path) const {
        const rapidjson::Value* value = &document_;
        while (value != nullptr && !path.empty()) {
            const std::size_t slash = std::min(path.find('/'), path.size());
            value = member(*value, path.substr(0, slash).c_str());
            path.erase(0, slash + 1);
        }
        return value;
    }
    [[nodiscard]] std::string at(const std::string& path) const {
        const rapidjson::Value* value = find(path);
        return value == nullptr ? "none" : json_text([&](JsonWriter& writer) { value->Accept(writer); });
    }
    [[nodiscard]] std::vector<std::string> texts(const std::string& path) const { return strings_of(find(path)); }

    /// The mounts at this place, each as JSON.
    [[nodiscard]] std::vector<std::string> mounts_at(const std::string& destination) const {
        std::vector<std::string> all;
        for (const auto& mount : document_["mounts"].GetArray()) {
            if (mount["destination"].GetString() != destination) continue;
            all.push_back(json_text([&](JsonWriter& writer) { mount.Accept(writer); }));
        }
        return all;
    }

private:
    rapidjson::Document document_;
};

std::string error_of(const PluginRecord& record) {
    const auto spec = runtime_spec(record, places(), std::nullopt);
    return spec ? "no error" : spec.error().message;
}

using List = std::vector<std::string>;

}  // namespace

TEST_CASE("a plugin that asks for nothing runs as Docker would run it", "[bundle]") {
    const Spec spec{record_of("")};
    CHECK(spec.at("ociVersion") == R"("1.0.2")");
    CHECK(spec.at("root/path") == R"("/state/4d3f/rootfs")");
    CHECK(spec.at("process/args") == R"(["/bin/driver"])");
    CHECK(spec.at("process/cwd") == R"("/")");
    CHECK(spec.at("process/user") == R"({"uid":0,"gid":0})");
    CHECK(spec.at("process/env") == R"(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"])");
    CHECK(spec.texts("process/capabilities/bounding").size() == 14);
    CHECK(spec.at("process/capabilities/effective") == spec.at("process/capabilities/bounding"));
    CHECK(spec.at("process/capabilities/permitted") == spec.at("process/capabilities/bounding"));
    CHECK(spec.at("process/capabilities/inheritable") == "none");
    CHECK(spec.at("process/capabilities/ambient") == "none");
    CHECK(spec.at("process/oomScoreAdj") == "0");
    CHECK(spec.at("linux/cgroupsPath") == R"("/brokerd/4d3f")");
    CHECK(spec.at("linux/namespaces") ==
          R"([{"type":"mount"},{"type":"network"},{"type":"uts"},{"type":"pid"},{"type":"ipc"}])");
    CHECK(spec.at("linux/devices") == "[]");
    CHECK(spec.at("linux/rootfsPropagation") == "none");
    CHECK(spec.at("linux/seccomp") == "none");
    CHECK(spec.at("linux/resources/memory") == "none");
    CHECK(spec.at("annotations") == "none");
    CHECK(spec.mounts_at("/etc/hosts").empty());
    CHECK(spec.mounts_at("/run/docker/plugins") ==
          List{R"({"destination":"/run/docker/plugins","type":"bind","source":"/runtime/exec/4d3f",)"
               R"("options":["rbind","rprivate","nosuid","nodev","noexec"]})"});
}

TEST_CASE("arguments, variables and work directory come from settings and config", "[bundle]") {
    PluginRecord record = record_of(R"("workdir":"/srv","env":[{"name":"A","value":"1"},{"name":"B"}],
        "args":{"value":["-v","two words"]})");
    const Spec spec{record};
    CHECK(spec.at("process/args") == R"(["/bin/driver","-v","two words"])");
    CHECK(spec.at("process/cwd") == R"("/srv")");
    CHECK(spec.texts("process/env").back() == "A=1");
    CHECK(spec.texts("process/env").size() == 2);

    record.settings.env = {"PATH=/own", "A=2"};
    record.settings.args = {};
    const Spec changed{record};
    CHECK(changed.texts("process/env") == List{"PATH=/own", "A=2"});
    CHECK(changed.texts("process/args") == List{"/bin/driver"});
}

TEST_CASE("capabilities are added to the default set, for another user as ambient ones", "[bundle]") {
    const Spec root{record_of(R"("linux":{"capabilities":["CAP_SYS_ADMIN","CAP_CHOWN"]})")};
    CHECK(root.texts("process/capabilities/bounding").size() == 15);
    CHECK(root.texts("process/capabilities/permitted").back() == "CAP_SYS_ADMIN");
    CHECK(root.at("process/capabilities/inheritable") == "none");

    const Spec user{record_of(R"("user":{"uid":7,"gid":8},"linux":{"capabilities":["CAP_SYS_ADMIN"]})")};
    CHECK(user.at("process/user") == R"({"uid":7,"gid":8})");
    CHECK(user.texts("process/capabilities/ambient") == List{"CAP_SYS_ADMIN"});
    CHECK(user.texts("process/capabilities/inheritable") == List{"CAP_SYS_ADMIN"});
}

TEST_CASE("the host's namespaces are shared where that was granted", "[bundle]") {
    const Spec spec{record_of(R"("network":{"type":"host"},"ipchost":true,"pidhost":true)")};
    CHECK(spec.at("linux/namespaces") == R"([{"type":"mount"},{"type":"uts"}])");
}

TEST_CASE("names of the network are the host's, where the host has them", "[bundle]") {
    const TemporaryDirectory etc;
    std::ofstream{etc / "hosts"} << "127.0.0.1 localhost\n";
    SpecPlaces where = places();
    where.hosts_file = etc / "hosts";
    where.resolv_file = etc / "resolv.conf";
    for (const char* type : {"host", "none"}) {
        const Spec spec{record_of(R"("network":{"type":")" + std::string{type} + "\"}"), where};
        CHECK(spec.mounts_at("/etc/hosts") == List{R"({"destination":"/etc/hosts","type":"bind","source":")" +
                                                   (etc / "hosts") + R"(","options":["rbind","ro"]})"});
        CHECK(spec.mounts_at("/etc/resolv.conf").empty());
    }
}

TEST_CASE("the bridge network is refused with what to do", "[bundle]") {
    const std::string error = error_of(record_of(R"("network":{"type":"bridge"})"));
    CHECK_THAT(error, Catch::StartsWith("plugin vieux/driver:latest cannot be started: ") &&
                          Catch::Contains("\"bridge\"") && Catch::Contains("ask its author"));
}

TEST_CASE("a socket that no path would reach is refused with what to do", "[bundle]") {
    SpecPlaces where = places();
    const PluginRecord record = record_of(R"("network":{"type":"host"})");
    where.socket_directory.assign(107 - 1 - record.config->interface_socket.size(), 'd');
    CHECK(runtime_spec(record, where, std::nullopt));
    where.socket_directory += 'd';
    const auto refused = runtime_spec(record, where, std::nullopt);
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message, Catch::Contains("has 108 bytes, and the kernel takes 107"));
}

TEST_CASE("mounts are those of the settings", "[bundle]") {
    PluginRecord record = record_of(R"("mounts":[
        {"name":"keys","source":"/root/.ssh","destination":"/keys","type":"bind","options":["rbind","ro"],
         "settable":["source"]},
        {"source":"/tmp","destination":"/t","type":"bind"},
        {"source":"tmpfs","destination":"/dev/shm","type":"tmpfs","options":["size=1m"]}])");
    const Spec spec{record};
    CHECK(spec.mounts_at("/keys") == List{R"({"destination":"/keys","type":"bind","source":"/root/.ssh",)"
                                          R"("options":["rbind","ro"]})"});
    // The option that a bind mount needs is there, even where the config forgot it.
    CHECK(spec.mounts_at("/t") == List{R"({"destination":"/t","type":"bind","source":"/tmp","options":["rbind"]})"});
    // Below /dev it replaces what every plugin gets.
    CHECK(spec.mounts_at("/dev/shm") ==
          List{R"({"destination":"/dev/shm","type":"tmpfs","source":"tmpfs","options":["size=1m"]})"});

    record.settings = *apply_arguments(*record.config, record.settings, {"keys.source=/srv/keys"});
    record.granted = required_privileges(*record.config, record.settings);
    CHECK_THAT(Spec{record}.mounts_at("/keys").at(0), Catch::Contains("/srv/keys"));
}

TEST_CASE("a mount without a source is named, with the command that sets it", "[bundle]") {
    const std::string settable =
        error_of(record_of(R"("mounts":[{"name":"k","source":"","destination":"/k","type":"bind",
                                         "settable":["source"]}])"));
    CHECK_THAT(settable, Catch::Contains("mount \"k\" at /k has no source") &&
                             Catch::Contains("pluginctl set vieux/driver:latest k.source=PATH"));
    const std::string fixed = error_of(record_of(R"("mounts":[{"destination":"/k","type":"tmpfs"}])"));
    CHECK_THAT(fixed, Catch::Contains("mount at /k has no source") && Catch::Contains("ask its author"));
}

TEST_CASE("a propagated mount is shared, and the way to it", "[bundle]") {
    const Spec spec{record_of(R"("propagatedMount":"/data")")};
    CHECK(spec.mounts_at("/data") == List{R"({"destination":"/data","type":"bind",)"
                                          R"("source":"/state/4d3f/propagated-mount",)"
                                          R"("options":["rbind","rw","rshared"]})"});
    CHECK(spec.at("linux/rootfsPropagation") == R"("rshared")");
}

TEST_CASE("devices are made and allowed as the host has them", "[bundle]") {
    struct stat status {};
    REQUIRE(::stat("/dev/null", &status) == 0);
    const Spec spec{record_of(R"("linux":{"devices":[{"path":"/dev/null"}]})")};
    CHECK(spec.at("linux/devices") == R"([{"path":"/dev/null","type":"c","major":1,"minor":3,"fileMode":)" +
                                          std::to_string(status.st_mode & 07777) + R"(,"uid":0,"gid":0}])");
    const std::string rules = spec.at("linux/resources/devices");
    CHECK_THAT(rules, Catch::StartsWith(R"([{"allow":false,"access":"rwm"},)") &&
                          Catch::EndsWith(R"({"allow":true,"type":"c","major":1,"minor":3,"access":"rwm"}])"));

    const Spec all{record_of(R"("linux":{"allowAllDevices":true})")};
    CHECK(all.at("linux/resources/devices") == R"([{"allow":true,"access":"rwm"}])");
    CHECK(all.at("linux/devices") == "[]");
}

TEST_CASE("a directory stands for the devices below it", "[bundle]") {
    const Spec spec{record_of(R"("linux":{"devices":[{"path":"/dev"}]})")};
    const std::string nodes = spec.at("linux/devices");
    CHECK_THAT(nodes, Catch::Contains(R"("path":"/dev/null")") && Catch::Contains(R"("path":"/dev/zero")"));
}

TEST_CASE("a device that is not there is named, with what to do", "[bundle]") {
    const TemporaryDirectory directory;
    std::ofstream{directory / "file"} << "x";
    const auto error_for = [](const std::string& path, const char* rest) {
        return error_of(record_of(R"("linux":{"devices":[{"path":")" + path + "\"" + rest + "}]}"));
    };
    CHECK_THAT(
        error_for("/dev/no-such-device", ""),
        Catch::Contains("device /dev/no-such-device: it does not exist on this host") && Catch::Contains("modprobe"));
    CHECK_THAT(error_for("/dev/no-such-device", R"(,"name":"d","settable":["path"])"),
               Catch::Contains("pluginctl set vieux/driver:latest d.path=PATH"));
    CHECK_THAT(error_for("", R"(,"name":"d","settable":["path"])"), Catch::Contains("device \"d\" has no path"));
    CHECK_THAT(error_for(directory / "file", ""), Catch::Contains("neither a device nor a directory of devices"));
    CHECK_THAT(error_for(directory / "", ""), Catch::Contains("a directory without a device"));
    CHECK_THAT(error_of(record_of(R"("linux":{"devices":[{"name":"d"}]})")), Catch::Contains("has no path"));
}

TEST_CASE("nothing is given that was not granted", "[bundle]") {
    PluginRecord record = record_of(R"("network":{"type":"host"},"linux":{"capabilities":["CAP_SYS_ADMIN"]})");
    record.granted.pop_back();
    CHECK_THAT(error_of(record), Catch::Contains("nobody granted: capabilities [CAP_SYS_ADMIN]"));

    record = record_of(R"("mounts":[{"name":"k","source":"/tmp","destination":"/k","type":"bind",
                                     "settable":["source"]}])");
    record.settings.mounts.items()[0].source = "/";
    CHECK_THAT(error_of(record), Catch::Contains("nobody granted: mount [/]"));
}

TEST_CASE("limits become the cgroup's, in its units", "[bundle]") {
    PluginRecord record = record_of("");
    record.limits = {64U << 20, 1'500'000'000, 100};
    const Spec spec{record};
    CHECK(spec.at("linux/resources/memory") == R"({"limit":67108864})");
    CHECK(spec.at("linux/resources/cpu") == R"({"quota":150000,"period":100000})");
    CHECK(spec.at("linux/resources/pids") == R"({"limit":100})");
    record.limits = {0, kLeastNanoCpus, 0};
    CHECK(Spec{record}.at("linux/resources/cpu/quota") == "1000");
    CHECK(Spec{record}.at("linux/resources/pids") == "none");
}

TEST_CASE("what the host gives is in the spec", "[bundle]") {
    SpecPlaces where = places();
    where.cgroups_path = "brokerd.slice:brokerd:4d3f";
    where.systemd_cgroup = true;
    where.oom_score_adj = 100;
    where.open_files = 500'000;
    const Spec spec{record_of(""), where};
    CHECK(spec.at("linux/cgroupsPath") == R"("brokerd.slice:brokerd:4d3f")");
    CHECK(spec.at("process/oomScoreAdj") == "100");
    CHECK(spec.at("process/rlimits") == R"([{"type":"RLIMIT_NOFILE","hard":500000,"soft":65536}])");
    CHECK_THAT(spec.at("annotations"), Catch::Contains(R"("org.systemd.property.After":"['brokerd.service']")") &&
                                           Catch::Contains("['brokerd-engines.target']"));
    where.open_files = 1000;
    CHECK(Spec{record_of(""), where}.at("process/rlimits") == R"([{"type":"RLIMIT_NOFILE","hard":1000,"soft":1000}])");
}
