#include "daemon/operations/upkeep.h"

#include <catch2/catch.hpp>

#include "daemon/operations/running.h"
#include "tests/unit/operations/operations_fixture.h"

using namespace brokerd;
using namespace brokerd::test;

namespace {

using Strings = std::vector<std::string>;

std::string id_of(char digit) {
    return std::string(64, digit);
}

}  // namespace

TEST_CASE("set applies all its arguments, and what they reach is granted", "[operations]") {
    const Operations host;
    const PluginRecordPtr before = host.add("p:latest");
    const auto after = set_plugin(host.rooms(), "p", {"DEBUG=1", "data.source=/mnt", "fuse=/dev/null", "args=-a -b"});
    REQUIRE(after);
    CHECK((*after)->settings.env.items() == Strings{"DEBUG=1", "FIXED=x"});
    CHECK((*after)->settings.args.items() == Strings{"-a", "-b"});
    CHECK(equal((*after)->granted, required_privileges(*before->config, (*after)->settings)));
    CHECK_THAT(describe((*after)->granted),
               Catch::Contains("mount [/mnt]") && Catch::Contains("device [/dev/null]") && !Catch::Contains("/srv"));
    CHECK((*after)->revision == before->revision + 1);
    CHECK(host.find("p:latest") == *after);
    const PluginRecordPtr stored = open_store(host.path()).find_name("p:latest");  // as after a restart
    CHECK(stored->settings == (*after)->settings);
    CHECK(stored->granted == (*after)->granted);
    CHECK(stored->revision == (*after)->revision);
}

TEST_CASE("set applies none of its arguments where one is wrong", "[operations]") {
    const Operations host;
    const PluginRecordPtr before = host.add("p:latest");
    const std::string inventory = read_file(host.path() + "/plugins/plugins.json");
    check_error(set_plugin(host.rooms(), "p", {"DEBUG=1", "FIXED=y"}), Kind::invalid, "\"FIXED\" is not settable");
    check_error(set_plugin(host.rooms(), "p", {"DEBUG=1", "x=1"}), Kind::invalid, "setting \"x\" not found");
    check_error(set_plugin(host.rooms(), "p", {"DEBUG=1", ""}), Kind::invalid, "invalid format");
    CHECK(host.find("p:latest") == before);
    CHECK(read_file(host.path() + "/plugins/plugins.json") == inventory);
}

TEST_CASE("set does not grant what nobody typed", "[operations]") {
    const Operations host;
    PluginRecord record = *host.add("q:latest");
    record.id.clear();
    record.name = "p:latest";
    record.granted.pop_back();  // the capabilities, which no argument can name
    const PluginRecordPtr before = host.add(record);
    check_error(set_plugin(host.rooms(), "p", {"DEBUG=1"}), Kind::denied, "capabilities [CAP_SYS_ADMIN]");
    CHECK(host.find("p:latest") == before);
}

TEST_CASE("a plugin that another operation has is left alone", "[operations]") {
    const Operations host;
    const PluginRecordPtr record = host.add("p:latest", true);
    {
        const auto held = hold_plugin(host.rooms(), "p");
        REQUIRE(held);
        CHECK(held->record == record);
        check_error(set_plugin(host.rooms(), "p", {}), Kind::conflict, "another operation");
        check_error(disable_plugin(host.rooms(), record->id, false, -1), Kind::conflict, "another operation");
        check_error(remove_plugin(host.rooms(), record->id.substr(0, 12), true, -1), Kind::conflict,
                    "another operation");
    }
    CHECK(remove_plugin(host.rooms(), "p", true, -1));
}

TEST_CASE("plugins are found by name, ID and unique beginning of an ID", "[operations]") {
    const Operations host;
    const PluginRecordPtr one = host.add("one:1"), two = host.add("me/two:latest");
    for (const std::string& name : {std::string{"one:1"}, one->id, one->id.substr(0, 32)}) {
        const auto held = hold_plugin(host.rooms(), name);
        REQUIRE(held);
        CHECK(held->record == one);
    }
    for (const char* name : {"me/two", "me/two:latest", "docker.io/me/two:latest"})
        CHECK(hold_plugin(host.rooms(), name));
    for (const std::string& name :
         {std::string{"one"}, std::string{"two"}, std::string{}, std::string{"../x"}, id_of('0')}) {
        check_error(hold_plugin(host.rooms(), name), Kind::not_found, "not found");
    }
}

TEST_CASE("a removed plugin leaves nothing on the disk", "[operations]") {
    const Operations host;
    const PluginRecordPtr record = host.add("p:latest");
    REQUIRE(std::filesystem::exists(host.path() + "/plugins/" + record->id + "/rootfs/marker"));
    REQUIRE(remove_plugin(host.rooms(), "p", false, -1));
    CHECK(names_below(host.path() + "/plugins") == Strings{"plugins.json", "tmp"});
    CHECK(host.unfinished().empty());
    check_error(remove_plugin(host.rooms(), "p", true, -1), Kind::not_found, "plugin \"p\" not found");
}

TEST_CASE("blobs go with the last plugin that uses them", "[operations]") {
    const Operations host;
    std::vector<Digest> digests;
    for (const char* bytes : {"manifest", "config", "layer"}) {
        auto pin = host.rooms().blobs.put(bytes);
        REQUIRE(pin);
        digests.push_back(pin->digest());
    }
    REQUIRE(host.rooms().blobs.put("of nobody"));
    for (const char* name : {"one:latest", "two:latest"}) {
        PluginRecord record = make_record(name);
        record.manifest_digest = digests[0];
        record.config_digest = digests[1];
        record.layer_digests = {digests[2]};
        host.add(record);
    }
    const auto pruned = prune(host.rooms());
    REQUIRE(pruned);
    CHECK(pruned->count == 1);
    CHECK(pruned->bytes == 9);
    REQUIRE(remove_plugin(host.rooms(), "one", false, -1));
    CHECK(host.blobs().size() == 3);
    REQUIRE(remove_plugin(host.rooms(), "two", false, -1));
    CHECK(host.blobs().empty());
    CHECK(prune(host.rooms())->count == 0);
}

TEST_CASE("what a running operation has pinned is not pruned", "[operations]") {
    const Operations host;
    {
        const auto pin = host.rooms().blobs.put("in use");
        REQUIRE(pin);
        CHECK(prune(host.rooms())->count == 0);
    }
    CHECK(prune(host.rooms())->count == 1);
}
