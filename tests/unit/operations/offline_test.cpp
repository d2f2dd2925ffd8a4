#include "daemon/operations/offline.h"

#include <catch2/catch.hpp>

#include "daemon/operations/upkeep.h"
#include "tests/unit/operations/operations_fixture.h"

using namespace brokerd;
using namespace brokerd::test;

namespace {

using Strings = std::vector<std::string>;

std::string save(const Operations& host, const std::string& name) {
    std::string bytes;
    const auto saved = save_plugin(host.rooms(), name, [&](std::string_view piece) -> Result<bool> {
        bytes += piece;
        return true;
    });
    if (!saved) throw std::runtime_error{saved.error().message};
    return bytes;
}

OperationResult<StagedImage> load(const Operations& host, const std::string& bytes) {
    const UniqueFd file = file_with(bytes);
    NoProgress silence;
    return load_archive(host.rooms(), {file.get(), Operations::whole}, silence, -1);
}

OperationResult<PluginRecordPtr> install(const Operations& host, const StagedImage& staged, const std::string& name) {
    NoProgress silence;
    return install_staged(host.rooms(), staged.digest, name, staged.privileges, staged.settings, silence, -1);
}

}  // namespace

TEST_CASE("a saved plugin is the same plugin on another host", "[operations]") {
    if (!is_root()) return;
    const Operations here, there;
    REQUIRE(here.create("me/p:1"));
    const auto original =
        set_plugin(here.rooms(), "me/p:1", {"DEBUG=1", "data.source=/mnt", "fuse=/dev/null", "args=-a -b"});
    REQUIRE(original);
    const std::string archive = save(here, "me/p:1");
    CHECK(archive == save(here, (*original)->id));

    const auto staged = load(there, archive);
    REQUIRE(staged);
    CHECK(staged->digest == *(*original)->manifest_digest);
    CHECK(staged->reference == "me/p:1");
    CHECK(staged->settings == Strings{"DEBUG=1", "data.source=/mnt", "fuse.path=/dev/null", "args=-a -b"});
    CHECK(equal(staged->privileges, (*original)->granted));
    CHECK(there.unfinished().empty());
    CHECK(there.find("me/p:1") == nullptr);  // whoever installs it grants

    const auto copy = install(there, *staged, staged->reference);
    REQUIRE(copy);
    CHECK((*copy)->settings == (*original)->settings);
    CHECK(equal((*copy)->granted, (*original)->granted));
    CHECK(*(*copy)->config_bytes == *(*original)->config_bytes);
    CHECK((*copy)->layer_digests == (*original)->layer_digests);
    CHECK_FALSE((*copy)->enabled);
    CHECK(read_file(there.path() + "/plugins/" + (*copy)->id + "/rootfs/p") == "the program of me/p:1");
    CHECK(there.unfinished().empty());
    CHECK(there.blobs() == here.blobs());
    CHECK(save(there, "me/p:1") == archive);
}

TEST_CASE("a loaded plugin may get another name, and default settings", "[operations]") {
    if (!is_root()) return;
    const Operations here, there;
    REQUIRE(here.create("p"));
    auto staged = load(there, save(here, "p"));
    REQUIRE(staged);
    CHECK(staged->settings.empty());
    const auto copy = install(there, *staged, "mine");
    REQUIRE(copy);
    CHECK((*copy)->name == "mine:latest");
    CHECK(install(there, *staged, "second"));
    const auto taken = install(there, *staged, "mine:latest");
    REQUIRE_FALSE(taken);
    CHECK(taken.error().kind == Kind::conflict);
    CHECK_FALSE(install(there, *staged, "No Name"));
}

TEST_CASE("whoever loads a plugin grants exactly what it asks for with its settings", "[operations]") {
    if (!is_root()) return;
    const Operations here, there;
    REQUIRE(here.create("p"));
    REQUIRE(set_plugin(here.rooms(), "p", {"data.source=/etc"}));
    auto staged = load(there, save(here, "p"));
    REQUIRE(staged);
    StagedImage wrong = *staged;
    wrong.privileges = required_privileges(Operations::parse(kConfig));
    const auto refused = install(there, wrong, "p");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == Kind::denied);
    CHECK_THAT(refused.error().message, Catch::Contains("mount [/etc]") && Catch::Contains("mount [/srv]"));
    wrong = *staged;
    wrong.settings = {"FIXED=y"};
    const auto unfit = install(there, wrong, "p");
    REQUIRE_FALSE(unfit);
    CHECK(unfit.error().kind == Kind::invalid);
    CHECK(there.find("p:latest") == nullptr);
    CHECK(there.unfinished().empty());
}

TEST_CASE("an archive that is cut off or damaged loads nothing", "[operations]") {
    if (!is_root()) return;
    const Operations here, there;
    REQUIRE(here.create("p"));
    const std::string archive = save(here, "p");
    std::string damaged = archive;
    damaged[archive.find("VolumeDriver") == archive.npos ? archive.find("volumedriver") : 0] ^= 1;
    for (const std::string& bytes : {std::string{}, std::string{"no archive"}, archive.substr(0, archive.size() / 2),
                                     archive.substr(0, 700), damaged}) {
        const auto loaded = load(there, bytes);
        REQUIRE_FALSE(loaded);
        CHECK(loaded.error().kind == Kind::invalid);
        CHECK(there.unfinished().empty());
    }
    const UniqueFd file = file_with(archive);
    NoProgress silence;
    const auto cut_off = load_archive(
        there.rooms(), {file.get(), [] { return std::optional{Error{"the client has gone"}}; }}, silence, -1);
    REQUIRE_FALSE(cut_off);
    CHECK(cut_off.error().message == "the client has gone");
    CHECK(prune(there.rooms()));
    CHECK(there.blobs().empty());
}

TEST_CASE("only what was loaded can be installed from the store", "[operations]") {
    const Operations host;
    NoProgress silence;
    const auto digest = *Digest::from_hex(std::string(64, 'a'));
    const auto missing = install_staged(host.rooms(), digest, "p", {}, {}, silence, -1);
    REQUIRE_FALSE(missing);
    CHECK(missing.error().kind == Kind::not_found);
    const auto pin = host.rooms().blobs.put("no manifest");
    REQUIRE(pin);
    const auto other = install_staged(host.rooms(), pin->digest(), "p", {}, {}, silence, -1);
    REQUIRE_FALSE(other);
    CHECK(other.error().kind == Kind::invalid);
}

TEST_CASE("a plugin that cannot be saved whole is not saved by half", "[operations]") {
    const Operations host;
    host.add("handmade:latest");
    PluginRecord record = make_record("lost:latest");  // of an image whose blobs are not here
    host.add(record);
    std::size_t written = 0;
    for (const char* name : {"handmade", "lost", "nobody"}) {
        const auto saved = save_plugin(host.rooms(), name, [&](std::string_view piece) -> Result<bool> {
            written += piece.size();
            return true;
        });
        CHECK_FALSE(saved);
    }
    CHECK(written == 0);
}

TEST_CASE("saving ends with the reason why nobody takes the archive", "[operations]") {
    if (!is_root()) return;
    const Operations host;
    REQUIRE(host.create("p"));
    const auto saved =
        save_plugin(host.rooms(), "p", [](std::string_view) -> Result<bool> { return fail("the client has gone"); });
    REQUIRE_FALSE(saved);
    CHECK_THAT(saved.error().message, Catch::Contains("the client has gone"));
}
