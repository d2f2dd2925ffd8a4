#include "daemon/managed/docker_import.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/unit/managed/store_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
namespace fs = std::filesystem;

namespace {

const std::string kId(64, '3');
const std::string kConfigHex(64, 'c');
const std::string kLayerHex(64, 'e');
const std::string kManifestHex(64, 'f');

/// As dockerd 20.10 writes ID/config.json after `docker plugin set m=/changed A=2`.
std::string engine_record(const std::string& name = "me/mine:v1") {
    return R"({"plugin":{"Config":{"Args":{"Description":"","Name":"","Settable":null,"Value":null},"Description":"",)"
           R"("DockerVersion":"20.10.24+dfsg1","Documentation":"","Entrypoint":["/bin/x"],)"
           R"("Env":[{"Description":"","Name":"A","Settable":["value"],"Value":"1"}],)"
           R"("Interface":{"Socket":"x.sock","Types":["docker.volumedriver/1.0"]},"IpcHost":false,)"
           R"("Linux":{"AllowAllDevices":false,"Capabilities":null,"Devices":null},)"
           R"("Mounts":[{"Description":"","Destination":"/mnt","Name":"m","Options":["rbind"],"Settable":["source"],)"
           R"("Source":"/changed","Type":"bind"}],"Network":{"Type":""},"PidHost":false,"PropagatedMount":"","User":{},)"
           R"("WorkDir":""},"Enabled":true,"Id":")" +
           kId + R"(","Name":")" + name +
           R"(","Settings":{"Args":[],"Devices":[],"Env":["A=2"],"Mounts":[{"Description":"","Destination":"/mnt",)"
           R"("Name":"m","Options":["rbind"],"Settable":["source"],"Source":"/changed","Type":"bind"}]}},"Rootfs":"",)"
           R"("Config":"sha256:)" +
           kConfigHex + R"(","Blobsums":["sha256:)" + kLayerHex + R"("],"Manifest":"sha256:)" + kManifestHex +
           R"(","SwarmServiceID":""})";
}

constexpr const char* kConfigBlob =
    R"({"Entrypoint":["/bin/x"],"Interface":{"Socket":"x.sock"},"Env":[{"Name":"A","Value":"1","Settable":["value"]}],)"
    R"("Mounts":[{"Name":"m","Source":"/original","Destination":"/mnt","Type":"bind","Settable":["source"]}]})";

void write_todays(const StateRoot& root) {
    write_file(root.plugins(kId + "/config.json"), engine_record());
    write_file(root.plugins(kId + "/rootfs/bin/x"), "x");
    write_file(root.plugins("storage/blobs/sha256/" + kConfigHex), kConfigBlob);
    write_file(root.plugins("storage/blobs/sha256/" + kLayerHex), "layer");
    write_file(root.plugins("storage/blobs/sha256/" + kManifestHex), "manifest");
    fs::create_directories(root.plugins("tmp"));
}

}  // namespace

TEST_CASE("plugins of today's engines are found, with their image's own config", "[managed]") {
    const StateRoot root;
    write_todays(root);
    const std::string path = root.path() + GENERATE(as<std::string>{}, "", "/plugins");
    const auto found = read_docker_plugins(path);
    REQUIRE(found);
    CHECK(found->findings.empty());
    REQUIRE(found->plugins.size() == 1);
    const ImportablePlugin& plugin = found->plugins[0];
    CHECK(plugin.id == kId);
    CHECK(plugin.name == "me/mine:v1");
    CHECK(plugin.remote == "docker.io/me/mine:v1");
    CHECK(plugin.enabled);
    CHECK(plugin.config.mounts[0].source == "/original");
    CHECK(plugin.config_bytes == kConfigBlob);
    CHECK(plugin.settings.mounts[0].source == "/changed");
    CHECK(plugin.settings.env.items() == std::vector<std::string>{"A=2"});
    CHECK(plugin.manifest_digest->hex() == kManifestHex);
    CHECK(plugin.layer_digests.size() == 1);
    CHECK(plugin.rootfs == root.plugins(kId + "/rootfs"));
    CHECK(plugin.blobs == root.plugins("storage/blobs/sha256"));
    CHECK(plugin.propagated_mount.empty());
}

TEST_CASE("a plugin whose blobs are gone is imported from its rootfs", "[managed]") {
    const StateRoot root;
    write_todays(root);
    const std::string gone = GENERATE(kConfigHex, kLayerHex, kManifestHex);
    fs::remove(root.plugins("storage/blobs/sha256/" + gone));
    const auto found = read_docker_plugins(root.path());
    REQUIRE(found);
    REQUIRE(found->plugins.size() == 1);
    CHECK(found->plugins[0].blobs.empty());
    CHECK_FALSE(found->plugins[0].rootfs.empty());
    CHECK(found->plugins[0].config.mounts[0].source == (gone == kConfigHex ? "/changed" : "/original"));
}

TEST_CASE("plugins of Docker 1.12 are found", "[managed]") {
    const StateRoot root;
    write_file(root.plugins("cd851ce43a403/rootfs/x"), "x");
    write_file(root.plugins("cd851ce43a403/config.json"), R"({"entrypoint":["/x"],"interface":{"socket":"s"}})");
    write_file(root.plugins("cd851ce43a403/plugin-settings.json"), R"({"Env":["A=3"]})");
    const std::string spelling = GENERATE(
        R"("Manifest":{"Entrypoint":["/x"],"Interface":{"Socket":"s"}},"Config":{"Env":["A=3"]},"Active":true,)",
        R"("Config":{"Entrypoint":["/x"],"Interface":{"Socket":"s"}},"Config":{"Env":["A=3"]},"Active":true,)",
        R"("Config":{"Entrypoint":["/x"],"Interface":{"Socket":"s"}},"Settings":{"Env":["A=3"]},"Enabled":true,)",
        R"("Active":true,)");
    write_file(root.plugins("plugins.json"), R"({"cd851ce43a403":{"plugin":{)" + spelling +
                                                 R"("Tag":"latest","Name":"vieux/sshfs","Id":"cd851ce43a403"}}})");
    const auto found = read_docker_plugins(root.path());
    REQUIRE(found);
    CHECK(found->findings.empty());
    REQUIRE(found->plugins.size() == 1);
    CHECK(found->plugins[0].name == "vieux/sshfs:latest");
    CHECK(found->plugins[0].enabled);
    CHECK(found->plugins[0].settings.env.items() == std::vector<std::string>{"A=3"});
    CHECK_FALSE(found->plugins[0].manifest_digest);
    CHECK(names_below(root.plugins("cd851ce43a403")).size() == 3);  // nothing was written
}

TEST_CASE("a plugin of Docker 1.12 whose directory is a link is left out", "[managed]") {
    const StateRoot root;
    const StateRoot elsewhere;
    write_file(elsewhere.plugins("rootfs/x"), "another's");
    fs::create_directories(root.plugins("."));
    fs::create_symlink(elsewhere.plugins("."), root.plugins("cd851ce43a403"));
    write_file(root.plugins("plugins.json"),
               R"({"cd851ce43a403":{"plugin":{"Config":{"Entrypoint":["/x"],"Interface":{"Socket":"s"}},)"
               R"("Settings":{"Env":[]},"Enabled":true,"Tag":"latest","Name":"vieux/sshfs","Id":"cd851ce43a403"}}})");
    const auto found = read_docker_plugins(root.path());
    REQUIRE(found);
    CHECK(found->plugins.empty());
    CHECK(found->findings.size() == 1);
}

TEST_CASE("what cannot be imported is left out with the reason", "[managed]") {
    const StateRoot root;
    write_todays(root);
    const std::string other(64, '4');
    SECTION("not JSON") {
        write_file(root.plugins(other + "/config.json"), "{\"plugin\":");
    }
    SECTION("a record of another plugin") {
        write_file(root.plugins(other + "/config.json"), engine_record("me/b:v1"));
    }
    SECTION("links out") {
        fs::create_directories(root.plugins(other));
        fs::remove_all(root.plugins(kId + "/rootfs"));
        fs::create_symlink("/", root.plugins(kId + "/rootfs"));
        fs::remove(root.plugins("storage/blobs/sha256/" + kLayerHex));
    }
    const auto found = read_docker_plugins(root.path());
    REQUIRE(found);
    CHECK(found->findings.size() == 1);
    CHECK(found->plugins.size() <= 1);
    CHECK_FALSE(read_docker_plugins(root.path() + "/nowhere"));
}

TEST_CASE("what of an engine's directory is damaged costs as little as it can", "[managed]") {
    const StateRoot root;
    write_todays(root);
    const std::string record = root.plugins(kId + "/config.json");
    const auto replaced = [](std::string text, const std::string& old, const std::string& fresh) {
        for (std::size_t at = text.find(old); at != text.npos; at = text.find(old, at + fresh.size()))
            text.replace(at, old.size(), fresh);
        return text;
    };
    std::size_t plugins = 1;
    std::string finding;
    bool has_blobs = true;
    SECTION("the blob of the config") {
        write_file(root.plugins("storage/blobs/sha256/" + kConfigHex), "{");
        finding = "the blob of its config is not valid";
        has_blobs = false;
    }
    SECTION("a directory in the place of a layer") {
        fs::remove(root.plugins("storage/blobs/sha256/" + kLayerHex));
        fs::create_directories(root.plugins("storage/blobs/sha256/" + kLayerHex));
        has_blobs = false;
    }
    SECTION("the digest of the manifest") {
        write_file(record, replaced(engine_record(), "sha256:" + kManifestHex, "none"));
    }
    SECTION("the digest of a layer") {
        write_file(record, replaced(engine_record(), "sha256:" + kLayerHex, "none"));
        has_blobs = false;
    }
    SECTION("the digest of the config") {
        write_file(record, replaced(engine_record(), "sha256:" + kConfigHex, "none"));
        has_blobs = false;
    }
    SECTION("all blobs") {
        fs::remove_all(root.plugins("storage"));
        fs::create_directories(root.plugins("storage"));
        has_blobs = false;
    }
    SECTION("a second plugin of the same name") {
        const std::string other(64, '7');
        write_file(root.plugins(other + "/config.json"), replaced(engine_record(), kId, other));
        write_file(root.plugins(other + "/rootfs/bin/x"), "x");
        finding = "the name me/mine:v1 is another plugin's";
    }
    SECTION("a plugin without rootfs and layers") {
        fs::remove_all(root.plugins(kId + "/rootfs"));
        fs::remove_all(root.plugins("storage/blobs"));
        finding = "has neither a rootfs nor the layers of its image";
        plugins = 0;
    }
    const auto found = read_docker_plugins(root.path());
    REQUIRE(found);
    CHECK(found->plugins.size() == plugins);
    CHECK(found->findings.size() == (finding.empty() ? 0 : 1));
    if (!finding.empty()) CHECK_THAT(found->findings.at(0), Catch::Contains(finding));
    for (const ImportablePlugin& plugin : found->plugins) CHECK(plugin.blobs.empty() != has_blobs);
}

TEST_CASE("what a plugin shows to the host is imported with it", "[managed]") {
    const StateRoot root;
    write_todays(root);
    fs::create_directories(root.plugins(kId + "/propagated-mount"));
    const auto found = read_docker_plugins(root.path());
    REQUIRE(found);
    CHECK(found->plugins.at(0).propagated_mount == root.plugins(kId + "/propagated-mount"));
}

TEST_CASE("an inventory that cannot be read is the end of an import", "[managed]") {
    const StateRoot root;
    write_todays(root);
    SECTION("it is not JSON") {
        write_file(root.plugins("plugins.json"), "{\n]");
    }
    SECTION("it is a directory") {
        fs::create_directories(root.plugins("plugins.json"));
    }
    const auto found = read_docker_plugins(root.path());
    REQUIRE_FALSE(found);
    CHECK_THAT(found.error().message, Catch::Contains("/plugins/plugins.json is not "));
}

TEST_CASE("of an engine's directory what is there is enough", "[managed]") {
    const StateRoot root;
    write_todays(root);
    SECTION("a rootfs, and no blob of the config") {
        fs::remove(root.plugins("storage/blobs/sha256/" + kConfigHex));
        const auto found = read_docker_plugins(root.path());
        REQUIRE(found);
        CHECK(found->plugins.at(0).blobs.empty());
        CHECK_FALSE(found->plugins.at(0).rootfs.empty());
    }
    SECTION("all blobs, and no rootfs") {
        fs::remove_all(root.plugins(kId + "/rootfs"));
        const auto found = read_docker_plugins(root.path());
        REQUIRE(found);
        CHECK(found->plugins.at(0).rootfs.empty());
        CHECK_FALSE(found->plugins.at(0).blobs.empty());
    }
    SECTION("plugins, and nothing beside them") {
        fs::remove_all(root.plugins("storage"));
        const auto found = read_docker_plugins(root.path() + "/plugins");
        REQUIRE(found);
        CHECK(found->plugins.size() == 1);
    }
    SECTION("an inventory") {
        fs::remove_all(root.plugins("storage"));
        write_file(root.plugins("plugins.json"), "{}");
        CHECK(read_docker_plugins(root.path() + "/plugins"));
    }
}

TEST_CASE("a recorded reference that is none gives way to the plugin's name", "[managed]") {
    const StateRoot root;
    write_file(root.plugins("cd851ce43a403/rootfs/x"), "x");
    write_file(root.plugins("cd851ce43a403/config.json"), R"({"entrypoint":["/x"],"interface":{"socket":"s"}})");
    write_file(root.plugins("plugins.json"), R"({"cd851ce43a403":{"plugin":{"PluginReference":"No Reference",)"
                                             R"("Tag":"v1","Name":"me/p","Id":"cd851ce43a403"}}})");
    const auto found = read_docker_plugins(root.path());
    REQUIRE(found);
    REQUIRE(found->plugins.size() == 1);
    CHECK(found->plugins[0].remote == "me/p:v1");
}
