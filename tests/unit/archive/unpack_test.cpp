#include "daemon/archive/unpack.h"

#include <catch2/catch.hpp>

#include "archive_fixture.h"
#include "daemon/images/sha256.h"

namespace brokerd {
namespace {

using File = std::pair<std::string, std::string>;

ArchiveResult<UnpackReport> unpack_plain(const std::vector<std::string>& tars, const UniqueFd& rootfs,
                                         const ArchiveLimits& limits = {}) {
    std::vector<UniqueFd> files;
    std::vector<LayerInput> layers;
    for (const std::string& tar : tars) {
        files.push_back(file_with(tar));
        layers.push_back({files.back().get(), Compression::none, Sha256::of(tar)});
    }
    return unpack_layers(layers, rootfs.get(), limits);
}

TEST_CASE("layers are unpacked one over the other, and their digests compared", "[archive]") {
    if (!is_root()) return;
    const TestDirectory directory;
    const UniqueFd rootfs = directory.make("rootfs");
    const std::string lower = tar_of(File{"d/", ""}, File{"d/a", "one"}, File{"d/b", "two"});
    const std::string upper = tar_of(File{"d/.wh.a", ""}, File{"d/b", "three"});
    const auto report = unpack_plain({lower, upper}, rootfs);
    REQUIRE(report);
    CHECK(report->entries == 5);
    CHECK(report->bytes == 11);
    CHECK_FALSE(std::filesystem::exists(directory.path / "rootfs/d/a"));
    CHECK(directory.read("rootfs/d/b") == "three");
}

TEST_CASE("a layer with another digest than the config says is refused by its number", "[archive]") {
    if (!is_root()) return;
    const TestDirectory directory;
    const UniqueFd rootfs = directory.make("rootfs");
    const UniqueFd layer = file_with(tar_of(File{"f", "x"}));
    const auto report = unpack_layers({{layer.get(), Compression::none, Sha256::of("something else")}}, rootfs.get());
    REQUIRE_FALSE(report);
    CHECK_THAT(report.error().message, Catch::Contains("layer 1 is not what the image's config says"));
}

TEST_CASE("progress is told in compressed bytes, layer by layer", "[archive]") {
    if (!is_root()) return;
    const TestDirectory directory;
    const UniqueFd rootfs = directory.make("rootfs");
    const std::string tar = tar_of(File{"f", std::string(300'000, 'x')});
    const UniqueFd layer = file_with(tar);
    std::uint64_t last = 0;
    const auto report = unpack_layers({{layer.get(), Compression::none}}, rootfs.get(), {}, -1,
                                      [&](std::size_t index, std::uint64_t bytes) {
                                          CHECK(index == 0);
                                          CHECK(bytes >= last);
                                          last = bytes;
                                      });
    REQUIRE(report);
    CHECK(last == tar.size());
}

TEST_CASE("limits are told with their number and the entry that was too much", "[archive]") {
    if (!is_root()) return;
    const TestDirectory directory;
    const UniqueFd rootfs = directory.make("rootfs");
    const std::string tar = tar_of(File{"a", "12345"}, File{"b\n", "12345"}, File{"c", "1"});
    ArchiveLimits limits;
    SECTION("entries") {
        limits.entries = 3;
        CHECK(unpack_plain({tar}, rootfs, limits));
        limits.entries = 2;
        const auto report = unpack_plain({tar}, rootfs, limits);
        REQUIRE_FALSE(report);
        CHECK(report.error().message ==
              "cannot unpack: layer 1, entry \"c\": it is one too many: more than 2 entries are not taken");
    }
    SECTION("bytes") {
        limits.bytes = 11;
        CHECK(unpack_plain({tar}, rootfs, limits));
        limits.bytes = 9;
        const auto report = unpack_plain({tar}, rootfs, limits);
        REQUIRE_FALSE(report);
        CHECK(report.error().message ==
              "cannot unpack: layer 1, entry \"b\\x0a\": it is too much: more than 9 bytes are not unpacked");
    }
    SECTION("bytes of the tar") {
        limits.stream_bytes = tar.size();
        CHECK(unpack_plain({tar}, rootfs, limits));
        limits.stream_bytes = tar.size() - 1;
        CHECK_FALSE(unpack_plain({tar}, rootfs, limits));
    }
}

TEST_CASE("unpacking can be cancelled while it waits for bytes", "[archive]") {
    if (!is_root()) return;
    const TestDirectory directory;
    const UniqueFd rootfs = directory.make("rootfs");
    int layer[2];
    int cancel[2];
    REQUIRE(pipe2(layer, O_CLOEXEC) == 0);
    REQUIRE(pipe2(cancel, O_CLOEXEC) == 0);
    const UniqueFd layer_in{layer[0]};
    const UniqueFd layer_out{layer[1]};  // stays open: the worker waits for ever
    const UniqueFd cancel_in{cancel[0]};
    const UniqueFd cancel_out{cancel[1]};
    REQUIRE(write(cancel_out.get(), "x", 1) == 1);
    const auto report = unpack_layers({{layer_in.get(), Compression::none}}, rootfs.get(), {}, cancel_in.get());
    REQUIRE_FALSE(report);
    CHECK(report.error().message == "cannot unpack: was cancelled");
    CHECK(report.error().kind == ArchiveError::Kind::cancelled);
}

TEST_CASE("a plain archive is extracted as the daemon's own files", "[archive]") {
    if (!is_root()) return;
    const TestDirectory directory;
    const UniqueFd destination = directory.make("out");
    const UniqueFd archive =
        file_with(tar_of(File{"blobs/", ""}, File{"blobs/sha256/x", "blob"}, File{"index.json", "{}"}));
    const auto report = extract_archive(archive.get(), destination.get());
    REQUIRE(report);
    CHECK(directory.read("out/blobs/sha256/x") == "blob");
    const auto mode = std::filesystem::status(directory.path / "out/index.json").permissions();
    CHECK((mode & std::filesystem::perms::all) ==
          (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
}

}  // namespace
}  // namespace brokerd
