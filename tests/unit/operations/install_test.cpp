#include "daemon/operations/install.h"

#include <catch2/catch.hpp>

#include "tests/unit/operations/operations_fixture.h"

using namespace brokerd;
using namespace brokerd::test;

namespace {

ImageReference reference(const std::string& text) {
    auto parsed = ImageReference::parse(text);
    if (!parsed) throw std::runtime_error{parsed.error().message};
    return *std::move(parsed);
}

/// An image with one plain layer.
StoredImage image_with(const OperationRooms& rooms, const std::string& config = kConfig) {
    const std::string layer = tar_of(File{"p", "program"});
    auto pin = rooms.blobs.put(layer);
    if (!pin) throw std::runtime_error{pin.error().message};
    auto image = make_image(rooms.blobs, Operations::parse(config), *std::move(pin), layer.size());
    if (!image) throw std::runtime_error{image.error().message};
    return *std::move(image);
}

OperationResult<PluginRecordPtr> install(const Operations& host, const StoredImage& image, const std::string& name,
                                         std::vector<std::string> arguments = {}) {
    NoProgress silence;
    const Privileges granted = required_privileges(Operations::parse(image.image.config));
    return install_image(host.rooms(), image, {name, "docker.io/library/" + name, granted, std::move(arguments)},
                         silence, -1);
}

constexpr const char* kDigest = "@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

}  // namespace

TEST_CASE("a plugin is called as Docker calls it", "[operations]") {
    const auto named = [](const std::string& alias, const std::string& remote) {
        const auto name = local_name(alias, reference(remote));
        return name ? *name : name.error().message;
    };
    CHECK(named("", "vieux/sshfs") == "vieux/sshfs:latest");
    CHECK(named("", "docker.io/vieux/sshfs:1") == "vieux/sshfs:1");
    CHECK(named("", std::string{"vieux/sshfs"} + kDigest) == "vieux/sshfs:latest");
    CHECK(named("", std::string{"localhost:5000/p:2"} + kDigest) == "localhost:5000/p:2");
    CHECK(named("mine", "vieux/sshfs:1") == "mine:latest");
    CHECK(named("docker.io/library/mine:3", "vieux/sshfs:1") == "mine:3");
    CHECK(named(std::string{"mine"} + kDigest, "vieux/sshfs") == "cannot use digest in plugin tag");
    CHECK_FALSE(local_name("No Name", reference("vieux/sshfs")));
}

TEST_CASE("an image that is made here is one that registries take, with all its blobs pinned", "[operations]") {
    const Operations host;
    const StoredImage stored = image_with(host.rooms());
    CHECK(stored.pins.size() == 3);
    CHECK(stored.image.manifest.media_type == kDockerManifestType);
    CHECK(stored.image.manifest.config.media_type == kPluginConfigType);
    CHECK(stored.image.manifest.config.size == stored.image.config.size());
    REQUIRE(stored.image.manifest.layers.size() == 1);
    const PluginConfig config = Operations::parse(stored.image.config);
    CHECK(config.diff_ids.items() == std::vector{stored.image.manifest.layers[0].digest});
    for (const Digest& digest : {stored.image.digest, stored.image.manifest.config.digest}) {
        CHECK(host.rooms().blobs.verify(digest));
    }
    REQUIRE(host.rooms().blobs.collect(std::set<Digest>{}));
    CHECK(host.blobs().size() == 3);
}

TEST_CASE("the same config and layer give the same image", "[operations]") {
    const Operations here, there;
    CHECK(image_with(here.rooms()).image.digest == image_with(there.rooms()).image.digest);
}

TEST_CASE("what was not granted is refused before anything is unpacked", "[operations]") {
    const Operations host;
    const StoredImage stored = image_with(host.rooms());
    const Privileges required = required_privileges(Operations::parse(kConfig));
    std::vector<Privileges> wrong{{}, required, required, required};
    wrong[1].erase(wrong[1].begin());  // Docker's own comparison begins at the second element
    wrong[2].push_back(wrong[2].back());
    wrong[3].front().value = {"bridge"};
    NoProgress silence;
    for (const Privileges& granted : wrong) {
        const auto refused =
            install_image(host.rooms(), stored, {"p:latest", "docker.io/library/p:latest", granted, {}}, silence, -1);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().kind == Kind::denied);
        CHECK_THAT(refused.error().message,
                   Catch::StartsWith("incorrect privileges: p:latest asks for network [host]"));
    }
    CHECK(host.unfinished().empty());
    CHECK(host.find("p:latest") == nullptr);
}

TEST_CASE("wrong settings of an install are refused with the name of what is wrong", "[operations]") {
    const Operations host;
    const StoredImage stored = image_with(host.rooms());
    for (const char* argument : {"FIXED=y", "nothing=1", "data.source=relative", "=", "fuse.mode=rw"}) {
        const auto refused = install(host, stored, "p:latest", {"DEBUG=1", argument});
        REQUIRE_FALSE(refused);
        CHECK(refused.error().kind == Kind::invalid);
    }
    CHECK(host.find("p:latest") == nullptr);
}

TEST_CASE("an image whose config is none of a plugin is refused with the place", "[operations]") {
    const Operations host;
    StoredImage stored = image_with(host.rooms());
    stored.image.config = R"({"entrypoint":[],"interface":{"socket":"x"}})";
    NoProgress silence;
    const auto refused = install_image(host.rooms(), stored, {"p:latest", "", {}, {}}, silence, -1);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == Kind::invalid);
    CHECK_THAT(refused.error().message, Catch::Contains("the config of p:latest") && Catch::Contains("/entrypoint"));
}

TEST_CASE("an installed image is a plugin with its files, its digests and its settings", "[operations]") {
    if (!is_root()) return;
    const Operations host;
    const StoredImage stored = image_with(host.rooms());
    const auto installed = install(host, stored, "p:latest", {"DEBUG=1", "data.source=/mnt"});
    REQUIRE(installed);
    const PluginRecord& record = **installed;
    CHECK(record.name == "p:latest");
    CHECK_FALSE(record.enabled);
    CHECK(record.manifest_digest == stored.image.digest);
    CHECK(record.config_digest == stored.image.manifest.config.digest);
    CHECK(*record.config_bytes == stored.image.config);
    CHECK(record.settings.env.items() == std::vector<std::string>{"DEBUG=1", "FIXED=x"});
    CHECK(equal(record.granted, required_privileges(*record.config, record.settings)));
    CHECK(read_file(host.path() + "/plugins/" + record.id + "/rootfs/p") == "program");
    CHECK(host.unfinished().empty());

    const auto again = install(host, stored, "p:latest");
    REQUIRE_FALSE(again);
    CHECK(again.error().kind == Kind::conflict);
    CHECK(host.unfinished().empty());
    CHECK(host.find("p:latest") == *installed);
}

TEST_CASE("a plugin whose layer is lost is not installed by half", "[operations]") {
    if (!is_root()) return;
    const Operations host;
    const StoredImage stored = image_with(host.rooms());
    std::filesystem::remove(host.path() + "/blobs/sha256/" + std::string{stored.image.manifest.layers[0].digest.hex()});
    const auto failed = install(host, stored, "p:latest");
    REQUIRE_FALSE(failed);
    CHECK(failed.error().kind == Kind::storage);
    CHECK(host.unfinished().empty());
    CHECK(host.find("p:latest") == nullptr);
}

TEST_CASE("creating a plugin grants what it asks for; names are taken once", "[operations]") {
    if (!is_root()) return;
    const Operations host;
    const auto created = host.create("me/p");
    REQUIRE(created);
    CHECK((*created)->name == "me/p:latest");
    CHECK(equal((*created)->granted, required_privileges(Operations::parse(kConfig))));
    const auto again = host.create("me/p:latest");
    REQUIRE_FALSE(again);
    CHECK(again.error().kind == Kind::conflict);
    CHECK(again.error().message == "plugin me/p:latest already exists");
    CHECK_FALSE(host.create(std::string{"me/p"} + kDigest));
    CHECK_FALSE(host.create(""));
    const auto broken = host.create("other", R"({"entrypoint":["/p"],"interface":{"socket":"a/b"}})");
    REQUIRE_FALSE(broken);
    CHECK(broken.error().kind == Kind::invalid);
    CHECK_THAT(broken.error().message, Catch::Contains("/interface/socket"));
}

TEST_CASE("a plugin's tar that did not come whole creates nothing", "[operations]") {
    if (!is_root()) return;
    const Operations host;
    const UniqueFd tar = file_with(tar_of(File{"config.json", kConfig}, File{"rootfs/", ""}));
    NoProgress silence;
    const auto created = create_plugin(
        host.rooms(), "p", {tar.get(), [] { return std::optional{Error{"the client has gone"}}; }}, silence, -1);
    REQUIRE_FALSE(created);
    CHECK(created.error().message == "the client has gone");
    CHECK(host.find("p:latest") == nullptr);
    CHECK(host.blobs().empty());
}
