#include "daemon/runtime/host_mounts.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "common/os/unique_fd.h"
#include "daemon/runtime/mount_table.h"
#include "tests/unit/runtime/host_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
namespace fs = std::filesystem;

namespace {

void mount_tmpfs(const std::string& place) {
    fs::create_directories(place);
    if (mount("none", place.c_str(), "tmpfs", 0, nullptr) != 0) throw_errno("mount " + place);
}

std::size_t mounts_at_or_below(const std::string& path) {
    const auto mounts = read_mount_table();
    REQUIRE(mounts);
    return static_cast<std::size_t>(std::count_if(mounts->begin(), mounts->end(), [&](const MountEntry& mount) {
        return is_at_or_below(mount.mount_point, path);
    }));
}

}  // namespace

TEST_CASE("a mount table's lines are read, its escapes undone, others left out", "[runtime]") {
    const auto mounts = parse_mount_table(
        "36 35 98:0 /mnt1 /mnt/a\\040b\\134c rw,noatime shared:7 master:1 - ext3 /dev/root\\011x rw\n"
        "nonsense\n"
        "37 36 0:5 / /mnt/d rw - fuse.sshfs host:/ rw\n"
        "38 36 0:5 / /mnt/no-hyphen rw\n");
    REQUIRE(mounts.size() == 2);
    CHECK(mounts[0].id == 36);
    CHECK(mounts[0].parent == 35);
    CHECK(mounts[0].device == "98:0");
    CHECK(mounts[0].root == "/mnt1");
    CHECK(mounts[0].mount_point == "/mnt/a b\\c");
    CHECK(mounts[0].shared);
    CHECK(mounts[0].source == "/dev/root\tx");
    CHECK(mounts[1].type == "fuse.sshfs");
    CHECK_FALSE(mounts[1].shared);
    CHECK(is_at_or_below("/a/b", "/a"));
    CHECK(is_at_or_below("/a", "/a"));
    CHECK_FALSE(is_at_or_below("/ab", "/a"));
}

TEST_CASE("a shared mount is made once, and shows once what is mounted below it", "[runtime]") {
    if (!can_mount()) return;
    const TemporaryDirectory directory;
    mount_tmpfs(directory / "disk");
    // As on every host with systemd: all of it is shared.
    REQUIRE(mount(nullptr, (directory / "disk").c_str(), nullptr, MS_SHARED, nullptr) == 0);
    const std::string place = directory / "disk/propagated mount";
    REQUIRE(make_shared_mount(place));
    REQUIRE(make_shared_mount(place));
    CHECK(mounts_at_or_below(place) == 1);
    mount_tmpfs(place + "/volume");
    CHECK(mounts_at_or_below(place) == 2);
    REQUIRE(unmount_below(place));
    CHECK(mounts_at_or_below(place) == 0);
    CHECK(fs::is_empty(place + "/volume"));
    REQUIRE(unmount_below(directory.path()));
}

TEST_CASE("a link in the place of a directory is not followed", "[runtime]") {
    if (!can_mount()) return;
    const TemporaryDirectory directory;
    fs::create_directory(directory / "other");
    fs::create_directory_symlink("other", directory / "place");
    const auto made = make_shared_mount(directory / "place");
    REQUIRE_FALSE(made);
    CHECK(made.error().message.find(directory / "place") != std::string::npos);
    CHECK(mounts_at_or_below(directory.path()) == 0);
}

TEST_CASE("everything below a path is unmounted: stacked, nested, busy; its neighbours stay", "[runtime]") {
    if (!can_mount()) return;
    const TemporaryDirectory directory;
    const std::string place = directory / "p";
    for (const char* const below : {"", "", "/a", "/a", "/a/b c", "/a/b c/d"}) mount_tmpfs(place + below);
    mount_tmpfs(directory / "pq");
    const UniqueFd busy{open((place + "/a/b c/d").c_str(), O_RDONLY | O_CLOEXEC)};
    CHECK(mounts_at_or_below(place) == 6);
    REQUIRE(unmount_below(place));
    CHECK(mounts_at_or_below(place) == 0);
    CHECK(mounts_at_or_below(directory.path()) == 1);
    REQUIRE(unmount_below(place));
    REQUIRE(unmount_below(directory.path()));
}
