#include "daemon/archive/plugin_tar.h"

#include <catch2/catch.hpp>

#include "archive_fixture.h"
#include "daemon/archive/unpack.h"
#include "daemon/images/sha256.h"

namespace brokerd {
namespace {

using File = std::pair<std::string, std::string>;

struct Packed {
    ArchiveResult<PluginTar> plugin;
    std::string layer;
};

Packed read_plugin(const std::string& tar) {
    const UniqueFd archive = file_with(tar);
    std::string layer;
    auto plugin = read_plugin_tar(archive.get(), [&](std::string_view bytes) -> Result<bool> {
        layer += bytes;
        return true;
    });
    return {std::move(plugin), std::move(layer)};
}

TEST_CASE("a plugin's tar becomes its config and a layer", "[archive]") {
    if (!is_root()) return;
    const std::string tar = tar_of(File{"rootfs/", ""}, File{"rootfs/bin/", ""}, File{"rootfs/bin/p", "program"},
                                   File{"README", "ignored"}, File{"./config.json", "{\"a\":1}"});
    const Packed packed = read_plugin(tar);
    REQUIRE(packed.plugin);
    CHECK(packed.plugin->config == "{\"a\":1}");
    CHECK(packed.plugin->layer.entries == 2);
    CHECK(packed.plugin->layer.compressed_bytes == packed.layer.size());
    CHECK(packed.layer == read_plugin(tar).layer);

    const TestDirectory directory;
    const UniqueFd rootfs = directory.make("rootfs");
    const UniqueFd layer = file_with(packed.layer);
    const auto unpacked = unpack_layers({{layer.get(), Compression::gzip, packed.plugin->layer.diff_id}}, rootfs.get());
    REQUIRE(unpacked);
    CHECK(directory.read("rootfs/bin/p") == "program");
    CHECK_FALSE(std::filesystem::exists(directory.path / "rootfs/README"));

    std::string again;
    const UniqueFd source = directory.make("rootfs");
    const auto repacked = pack_rootfs(source.get(), [&](std::string_view bytes) -> Result<bool> {
        again += bytes;
        return true;
    });
    REQUIRE(repacked);
    CHECK(repacked->diff_id == packed.plugin->layer.diff_id);
    CHECK(again == packed.layer);
}

TEST_CASE("what is no plugin is told apart", "[archive]") {
    if (!is_root()) return;
    const auto refusal = [](const std::string& tar) {
        const Packed packed = read_plugin(tar);
        return packed.plugin ? std::string{} : packed.plugin.error().message;
    };
    CHECK_THAT(refusal(tar_of(File{"rootfs/", ""})), Catch::Contains("has no config.json"));
    CHECK_THAT(refusal(tar_of(File{"config.json", "{}"})), Catch::Contains("has no rootfs/"));
    CHECK_THAT(refusal(tar_of(File{"config.json", "{}"}, File{"rootfs", "file"})),
               Catch::Contains("must be a directory"));
    CHECK_THAT(refusal(tar_of(File{"config.json", "{}"}, File{"rootfs/", ""}, File{"./config.json", "{}"})),
               Catch::Contains("is there twice"));
    CHECK_THAT(refusal(tar_of(File{"config.json", std::string(kMaxPluginConfigBytes + 1, ' ')})),
               Catch::Contains("is longer than 1048576 bytes"));
    CHECK(refusal(tar_of(File{"config.json", std::string(kMaxPluginConfigBytes, ' ')}, File{"rootfs/", ""})).empty());
    CHECK_THAT(refusal("not a tar"), Catch::Contains("is no good tar archive"));
}

TEST_CASE("a sink that fails ends the job with its own words", "[archive]") {
    if (!is_root()) return;
    const UniqueFd archive = file_with(tar_of(File{"config.json", "{}"}, File{"rootfs/", ""}));
    const auto plugin =
        read_plugin_tar(archive.get(), [](std::string_view) -> Result<bool> { return fail("the disk is full"); });
    REQUIRE_FALSE(plugin);
    CHECK(plugin.error().message == "cannot read the plugin: the disk is full");
    CHECK(plugin.error().kind == ArchiveError::Kind::host);
}

}  // namespace
}  // namespace brokerd
