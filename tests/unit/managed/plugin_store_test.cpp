#include "daemon/managed/plugin_store.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/unit/managed/store_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
namespace fs = std::filesystem;

namespace {

/// As an engine of 1.12 and its documentation's seven steps leave it, twice "Config" included.
constexpr const char* kSeedInventory = R"({
  "cd851ce43a403": {
    "plugin": {
      "Config": {
        "Args": {"Value": null, "Settable": null, "Description": "", "Name": ""},
        "Env": null, "Devices": null, "Mounts": null, "Capabilities": ["CAP_SYS_ADMIN"],
        "Description": "sshFS plugin for Docker",
        "Interface": {"Socket": "sshfs.sock", "Types": ["docker.volumedriver/1.0"]},
        "Entrypoint": ["/go/bin/docker-volume-sshfs"], "Workdir": "", "User": {}, "Network": {"Type": "host"}
      },
      "Config": {"Devices": null, "Args": null, "Env": [], "Mounts": []},
      "Active": true, "Tag": "latest", "Name": "vieux/sshfs", "Id": "cd851ce43a403"
    }
  }
})";

std::string error_of(const Result<PluginRecordPtr, StoreError>& result) {
    return result ? "done" : result.error().message;
}

}  // namespace

TEST_CASE("an installed plugin is there again after a restart, unchanged", "[managed]") {
    const StateRoot root;
    PluginRecordPtr installed;
    {
        PluginStore store = open_store(root.path());
        installed = install(store, "vieux/sshfs:latest", "one");
        CHECK(installed->id.size() == 64);
        CHECK(fs::exists(store.rootfs_of(installed->id) + "/marker"));
        CHECK(names_below(root.plugins("tmp")).empty());
    }
    std::vector<std::string> findings;
    const PluginStore store = open_store(root.path(), &findings);
    CHECK(findings.empty());
    REQUIRE(store.records().size() == 1);
    const PluginRecordPtr read = store.records()[0];
    CHECK(*read->config == *installed->config);
    CHECK(*read->config_bytes == *installed->config_bytes);  // to the last line feed: its digest is the image's
    PluginRecord left = *read;
    PluginRecord right = *installed;
    left.config = right.config;
    left.config_bytes = right.config_bytes;
    CHECK(left == right);
    CHECK(read_file(root.plugins(read->id + "/config.json")) == *read->config_bytes);
    CHECK((fs::status(root.plugins()).permissions() & fs::perms::others_all) == fs::perms::none);
    CHECK(store.used_blobs().size() == 3);
}

TEST_CASE("plugins are found as Docker finds them", "[managed]") {
    const StateRoot root;
    fs::create_directories(root.plugins("abc1/rootfs"));
    fs::create_directories(root.plugins("abc2/rootfs"));
    const std::string config = R"("Config":{"entrypoint":["/x"],"interface":{"socket":"s"}})";
    write_file(root.plugins("plugins.json"), R"({"abc1":{"plugin":{"Name":"vieux/sshfs",)" + config +
                                                 R"(}},"abc2":{"plugin":{"Name":"localhost:5000/a:v1",)" + config +
                                                 "}}}");
    const PluginStore store = open_store(root.path());
    for (const std::string text :
         {"vieux/sshfs", "vieux/sshfs:latest", "docker.io/vieux/sshfs", "index.docker.io/vieux/sshfs", "abc1"}) {
        INFO(text);
        const auto found = store.find(text);
        REQUIRE(found);
        CHECK((*found)->id == "abc1");
    }
    CHECK((*store.find("localhost:5000/a:v1"))->id == "abc2");
    CHECK(store.find("abc").error().message == "multiple plugins found for \"abc\"");
    CHECK(store.find("abc").error().kind == FindError::Kind::ambiguous);
    for (const std::string text : {"", "@@", "nope", "vieux/sshfs:v2", "localhost:5000/a", "abc3", "ABC1"}) {
        INFO(text);
        CHECK(store.find(text).error().message == "plugin \"" + text + "\" not found");
    }
    CHECK_FALSE(store.find(std::string(64, 'a')));
}

TEST_CASE("names are unique, and changes are made from the present record", "[managed]") {
    const StateRoot root;
    PluginStore store = open_store(root.path());
    const PluginRecordPtr first = install(store, "a/x:latest");
    CHECK(error_of(store.install(make_staged(store, ""), make_record("a/x:latest"))) ==
          "plugin a/x:latest already exists");
    CHECK(error_of(store.install(make_staged(store, ""), make_record("a/x"))) != "done");
    CHECK(error_of(store.install(make_staged(store, ""), make_record("docker.io/a/y:latest"))) != "done");
    CHECK(names_below(root.plugins("tmp")).empty());
    PluginRecord changed = *first;
    changed.enabled = true;
    REQUIRE(store.update(changed));
    CHECK(store.find_id(first->id)->enabled);
    CHECK(store.find_id(first->id)->revision == 2);
    CHECK(store.update(changed).error().kind == StoreError::Kind::conflict);
    CHECK_FALSE(first->enabled);
    changed.id = "0";
    CHECK(store.update(changed).error().kind == StoreError::Kind::not_found);
    CHECK(open_store(root.path()).find_id(first->id)->enabled);
}

TEST_CASE("a removed plugin is gone; its directory goes with the answer", "[managed]") {
    const StateRoot root;
    PluginStore store = open_store(root.path());
    const std::string id = install(store, "a/x:latest")->id;
    {
        const auto removed = store.remove(id);
        REQUIRE(removed);
        REQUIRE(*removed);
        CHECK(store.records().empty());
        CHECK_FALSE(fs::exists(root.plugins(id)));
        CHECK(fs::exists((*removed)->path()));
    }
    CHECK(names_below(root.plugins("tmp")).empty());
    CHECK(store.remove(id).error().kind == StoreError::Kind::not_found);
    CHECK(install(store, "a/x:latest") != nullptr);
}

TEST_CASE("an upgrade swaps rootfs and config, keeps the propagated mount, and can be undone", "[managed]") {
    const StateRoot root;
    PluginStore store = open_store(root.path());
    const PluginRecordPtr old = install(store, "a/x:latest", "one");
    write_file(store.propagated_mount_of(old->id) + "/data", "precious");
    const auto upgraded_from = [&](const PluginRecord& from, const std::string& marker) {
        PluginRecord record = make_record("a/x:latest", marker);
        record.id = from.id;
        record.revision = from.revision;
        return record;
    };
    auto upgraded = store.upgrade(make_staged(store, "two"), upgraded_from(*old, "two"));
    REQUIRE(upgraded);
    CHECK(read_file(store.rootfs_of(old->id) + "/marker") == "two");
    CHECK(store.find_id(old->id)->config->description == "two");
    CHECK(read_file(store.propagated_mount_of(old->id) + "/data") == "precious");
    CHECK(read_file(root.plugins("plugins.json")).find("swap") == std::string::npos);

    SECTION("undone") {
        REQUIRE(store.upgrade(std::move(upgraded->previous), *upgraded->previous_record));
        CHECK(read_file(store.rootfs_of(old->id) + "/marker") == "one");
        CHECK(store.find_id(old->id)->config->description == "one");
        CHECK(read_file(store.propagated_mount_of(old->id) + "/data") == "precious");
    }
    SECTION("done, by a restart") {
        std::vector<std::string> findings;
        const PluginStore again = open_store(root.path(), &findings);
        CHECK(findings.empty());
        CHECK(read_file(again.rootfs_of(old->id) + "/marker") == "two");
        CHECK(names_below(root.plugins("tmp")).empty());
    }
}

TEST_CASE("a plugin made by hand, by the seven steps, appears", "[managed]") {
    const StateRoot root;
    write_file(root.plugins("cd851ce43a403/rootfs/go/bin/docker-volume-sshfs"), "x");
    write_file(root.plugins("cd851ce43a403/config.json"), "{}");
    write_file(root.plugins("plugins.json"), kSeedInventory);
    std::vector<std::string> findings;
    PluginStore store = open_store(root.path(), &findings);
    CHECK(findings.empty());
    const auto found = store.find("vieux/sshfs");
    REQUIRE(found);
    CHECK((*found)->enabled);
    CHECK((*found)->config->capabilities.items() == std::vector<std::string>{"CAP_SYS_ADMIN"});
    CHECK((*found)->settings.mounts.empty());
    CHECK(describe((*found)->granted) == "network [host], capabilities [CAP_SYS_ADMIN]");
    // It is written back in our spelling, which reads the same.
    const PluginStore again = open_store(root.path(), &findings);
    CHECK(findings.empty());
    CHECK(*(*again.find("vieux/sshfs"))->config == *(*found)->config);
    REQUIRE(store.remove("cd851ce43a403"));
    CHECK_FALSE(fs::exists(root.plugins("cd851ce43a403")));
}

TEST_CASE("a section that only names the plugin takes the rest from the directory", "[managed]") {
    const StateRoot root;
    fs::create_directories(root.plugins("abc/rootfs"));
    write_file(root.plugins("abc/config.json"),
               R"({"entrypoint":["/x"],"interface":{"socket":"s"},"env":[{"name":"A","value":"1"}]})");
    write_file(root.plugins("plugins.json"), R"({"abc":{"plugin":{"Name":"me/mine","Id":"abc",}},})");
    SECTION("with settings") {
        write_file(root.plugins("abc/plugin-settings.json"), R"({"Env":["A=2"]})");
        CHECK(open_store(root.path()).find_id("abc")->settings.env.items() == std::vector<std::string>{"A=2"});
    }
    SECTION("without") {
        CHECK(open_store(root.path()).find_id("abc")->settings.env.items() == std::vector<std::string>{"A=1"});
    }
}

TEST_CASE("a hand-made plugin appears at a reload, and unchanged records stay the same object", "[managed]") {
    const StateRoot root;
    PluginStore store = open_store(root.path());
    const PluginRecordPtr first = install(store, "a/x:latest");
    std::string inventory = read_file(root.plugins("plugins.json"));
    fs::create_directories(root.plugins("abc/rootfs"));
    inventory.insert(
        1, R"("abc":{"plugin":{"Name":"me/mine","Config":{"entrypoint":["/x"],"interface":{"socket":"s"}}}},)");
    write_file(root.plugins("plugins.json"), inventory);
    SECTION("on request") {
        const auto findings = store.reload();
        REQUIRE(findings);
        CHECK(findings->empty());
    }
    SECTION("before the next change") {
        REQUIRE(store.stage());
        CHECK(install(store, "b/y:latest") != nullptr);
    }
    CHECK(store.find("me/mine"));
    CHECK(store.find_id(first->id) == first);
    CHECK(open_store(root.path()).find("me/mine"));
}

TEST_CASE("a bad entry costs no other, and is kept as it is", "[managed]") {
    const StateRoot root;
    PluginStore store = open_store(root.path());
    install(store, "a/x:latest");
    const std::string good = read_file(root.plugins("plugins.json"));
    const std::string bad = GENERATE(
        R"("bad1":{"plugin":{"Name":"x","Config":{"entrypoint":[]}}})", R"("bad1":7)", R"("bad1":{"plugin":null})",
        R"("../bad":{"plugin":{"Name":"x"}})", R"("tmp":{"plugin":{"Name":"x"}})",
        R"("bad1":{"plugin":{"Name":"a/x","Config":{"entrypoint":["/x"],"interface":{"socket":"s"}}}})",
        R"("bad1":{"plugin":{"Name":"b","Id":"bad2","Config":{"entrypoint":["/x"],"interface":{"socket":"s"}}}})",
        R"("bad1":{"plugin":{"Name":"b","Config":{"entrypoint":["/x"],"interface":{"socket":"s"}}},"brokerd":{"version":2}})",
        R"("bad1":{"plugin":{"Name":"b","Config":{"entrypoint":["/x"],"interface":{"socket":"s"}}},"brokerd":{"version":1,"layers":["x"]}})",
        R"("bad1":{"plugin":{"Name":"b","Config":{},"Config":{},"Config":{}}})");
    INFO(bad);
    std::string inventory = good;
    inventory.replace(inventory.rfind("\n}"), 2, ",\n" + bad + "\n}");
    write_file(root.plugins("plugins.json"), inventory);
    std::vector<std::string> findings;
    PluginStore again = open_store(root.path(), &findings);
    CHECK(findings.size() == 1);
    CHECK(again.records().size() == 1);
    install(again, "c/z:latest");
    CHECK(read_file(root.plugins("plugins.json")).find(bad.substr(bad.find(':') + 1)) != std::string::npos);
    CHECK(open_store(root.path()).records().size() == 2);
}

TEST_CASE("the blobs of an entry that cannot be read stay", "[managed]") {
    const StateRoot root;
    const std::string hex(64, 'd');
    write_file(root.plugins("plugins.json"), R"({"x":{"brokerd":{"layers":["sha256:)" + hex + R"("]}}})");
    const PluginStore store = open_store(root.path());
    CHECK(store.used_blobs() == std::set<Digest>{*Digest::from_hex(hex)});
}

TEST_CASE("a damaged plugins.json is kept aside and rebuilt from the directories", "[managed]") {
    const StateRoot root;
    std::string id;
    {
        PluginStore store = open_store(root.path());
        id = install(store, "a/x:latest", "one")->id;
        install(store, "b/y:latest", "two");
        PluginRecord record = *store.find_id(id);
        record.enabled = true;
        REQUIRE(store.update(record));
    }
    fs::create_directories(root.plugins("unfinished/rootfs"));
    const std::string inventory = root.plugins("plugins.json");
    const std::string whole = read_file(inventory);
    const bool gone = GENERATE(false, false, false, true);
    const std::string damage =
        GENERATE_REF(std::string{}, whole.substr(0, whole.size() / 2), std::string(4096, '\0'), std::string{"[]"});
    if (gone) {
        fs::remove(inventory);
    } else {
        write_file(inventory, damage);
    }
    std::vector<std::string> findings;
    const PluginStore store = open_store(root.path(), &findings);
    CHECK(store.records().size() == 2);
    CHECK(store.find_id(id)->enabled);
    CHECK(fs::exists(root.plugins("unfinished/rootfs")));
    const auto names = names_below(root.plugins());
    const bool aside = std::any_of(names.begin(), names.end(),
                                   [](const std::string& name) { return name.starts_with("plugins.json.damaged-"); });
    CHECK(aside == !gone);
    CHECK(open_store(root.path(), &findings).records().size() == 2);
    CHECK(findings.size() == 1);  // the unfinished directory
}

TEST_CASE("a reload of a damaged plugins.json keeps what was known", "[managed]") {
    const StateRoot root;
    PluginStore store = open_store(root.path());
    const PluginRecordPtr record = install(store, "a/x:latest");
    write_file(root.plugins("plugins.json"), "{\"half\":");
    const auto findings = store.reload();
    REQUIRE(findings);
    CHECK(findings->size() == 1);
    CHECK(store.find_id(record->id) == record);
    CHECK(open_store(root.path()).records().size() == 1);
}

TEST_CASE("something else in the place of plugins.json is set aside", "[managed]") {
    const StateRoot root;
    fs::create_directories(root.plugins());
    SECTION("a directory") {
        fs::create_directory(root.plugins("plugins.json"));
    }
    SECTION("a link") {
        fs::create_symlink("/etc/passwd", root.plugins("plugins.json"));
    }
    PluginStore store = open_store(root.path());
    install(store, "a/x:latest");
    CHECK(open_store(root.path()).records().size() == 1);
}

TEST_CASE("leftovers of a crash go, other people's directories stay", "[managed]") {
    const StateRoot root;
    std::string id;
    {
        PluginStore store = open_store(root.path());
        id = install(store, "a/x:latest")->id;
        write_file(root.plugins("tmp/half/rootfs/file"), "x");
        write_file(root.plugins("mine/rootfs/file"), "x");
        fs::copy(root.plugins(id), root.plugins("leftover"), fs::copy_options::recursive);
        write_file(root.plugins("leftover/unsettled"), "");
        fs::copy(root.plugins(id), root.plugins("unlisted"), fs::copy_options::recursive);
    }
    std::vector<std::string> findings;
    const PluginStore store = open_store(root.path(), &findings);
    CHECK(names_below(root.plugins("tmp")).empty());
    CHECK_FALSE(fs::exists(root.plugins("leftover")));
    CHECK(fs::exists(root.plugins("mine/rootfs/file")));
    CHECK(fs::exists(root.plugins("unlisted/rootfs")));  // an older inventory from a backup would leave it so
    CHECK_FALSE(fs::exists(root.plugins(id + "/unsettled")));
    CHECK(findings.size() == 2);
    CHECK(store.records().size() == 1);
}

TEST_CASE("a plugin whose directory is missing is reported, not dropped", "[managed]") {
    const StateRoot root;
    std::string id;
    {
        PluginStore store = open_store(root.path());
        id = install(store, "a/x:latest")->id;
    }
    const bool whole = GENERATE(true, false);
    fs::remove_all(root.plugins(whole ? id : id + "/rootfs"));
    std::vector<std::string> findings;
    PluginStore store = open_store(root.path(), &findings);
    REQUIRE(store.records().size() == 1);
    CHECK_FALSE(store.records()[0]->broken.empty());
    CHECK(findings.size() == 1);
    // An upgrade repairs it.
    PluginRecord record = make_record("a/x:latest", "new");
    record.id = id;
    record.revision = store.records()[0]->revision;
    REQUIRE(store.upgrade(make_staged(store, "new"), record));
    CHECK(read_file(store.rootfs_of(id) + "/marker") == "new");
    CHECK(open_store(root.path()).records()[0]->broken.empty());
}

TEST_CASE("plugins.json repairs the copies in the directory", "[managed]") {
    const StateRoot root;
    std::string id;
    {
        PluginStore store = open_store(root.path());
        id = install(store, "a/x:latest")->id;
    }
    const std::string file = GENERATE("config.json", "plugin-settings.json", "brokerd.json");
    const std::string path = root.plugins(id + "/" + file);
    const std::string content = read_file(path);
    SECTION("changed") {
        write_file(path, "changed");
    }
    SECTION("gone") {
        fs::remove(path);
    }
    open_store(root.path());
    CHECK(read_file(path) == content);
}

TEST_CASE("nobody else gets to what images bring along", "[managed]") {
    const StateRoot root;
    fs::create_directories(root.plugins());
    fs::permissions(root.plugins(), fs::perms{0755});
    (void)open_store(root.path());
    CHECK(fs::status(root.plugins()).permissions() == fs::perms{0700});
}

TEST_CASE("what was staged stays with the caller when it is not installed", "[managed]") {
    const StateRoot root;
    PluginStore store = open_store(root.path());
    (void)install(store, "a/x:latest");
    StagedPlugin staged = make_staged(store, "mine");
    REQUIRE_FALSE(store.install(std::move(staged), make_record("a/x:latest")));
    CHECK(read_file(staged.rootfs_path() + "/marker") == "mine");  // deleting it would keep everybody waiting
}

TEST_CASE("what a symbolic link in the place of a plugin leads to stays as it is", "[managed]") {
    const StateRoot root;
    PluginStore store = open_store(root.path());
    const PluginRecordPtr plugin = install(store, "a/x:latest");
    const std::string elsewhere = root.path() + "/elsewhere";
    fs::rename(store.directory_of(plugin->id), elsewhere);
    fs::create_directory_symlink(elsewhere, store.directory_of(plugin->id));
    PluginRecord record = make_record("a/x:latest", "two");
    record.id = plugin->id;
    record.revision = plugin->revision;
    CHECK_FALSE(store.upgrade(make_staged(store, "two"), record));
    auto removed = store.remove(plugin->id);
    REQUIRE(removed);
    removed->reset();
    CHECK_FALSE(fs::exists(fs::symlink_status(store.directory_of(plugin->id))));
    CHECK(fs::exists(elsewhere + "/rootfs/marker"));
    CHECK(names_below(root.plugins("tmp")).empty());
}

TEST_CASE("a change that would make plugins.json too long is refused, and a removal makes room again", "[managed]") {
    const StateRoot root;
    const auto open_with = [&](std::size_t limit) {
        auto opened = PluginStore::open(root.path(), remove_simple_tree, limit);
        REQUIRE(opened);
        return std::move(opened->store);
    };
    std::size_t two = 0;
    {
        PluginStore store = open_with(kMaxPluginsFileBytes);
        install(store, "acme/one:latest");
        const PluginRecordPtr second = install(store, "acme/two:latest");
        two = read_file(root.plugins("plugins.json")).size();
        REQUIRE(store.remove(second->id));
    }
    {
        PluginStore store = open_with(two);
        const PluginRecordPtr second = install(store, "acme/two:latest");  // at the limit
        const std::string before = read_file(root.plugins("plugins.json"));
        CHECK(before.size() == two);
        StagedPlugin third = make_staged(store, "three");
        const auto refused = store.install(std::move(third), make_record("acme/three:latest"));
        REQUIRE(!refused);
        CHECK_THAT(refused.error().message, Catch::Contains(fmt::format("{} are the limit", two)) &&
                                                Catch::Contains("plugins.json") && Catch::Contains("remove plugins"));
        CHECK(read_file(root.plugins("plugins.json")) == before);
        CHECK(store.records().size() == 2);
        REQUIRE(store.remove(second->id));
        install(store, "acme/six:latest");
    }
    CHECK(open_store(root.path()).records().size() == 2);
}
