#include "daemon/archive/remove_tree.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "archive_fixture.h"

namespace brokerd {
namespace {

TEST_CASE("a tree is removed with everything in it, and nothing beside it", "[archive]") {
    const TestDirectory directory;
    const UniqueFd parent = directory.open();
    directory.make("kept");
    directory.write("kept/file", "x");
    directory.make("tree/a/b");
    for (int i = 0; i < 3000; ++i) directory.write("tree/a/" + std::to_string(i), "");
    std::filesystem::create_symlink(directory.path / "kept", directory.path / "tree/link");
    REQUIRE(mkfifo((directory.path / "tree/fifo").c_str(), 0600) == 0);
    const auto removed = remove_tree(parent.get(), "tree");
    REQUIRE(removed);
    CHECK(removed->entries == 3005);
    CHECK_FALSE(std::filesystem::exists(directory.path / "tree"));
    CHECK(directory.read("kept/file") == "x");
}

TEST_CASE("a tree deeper than any path is removed", "[archive]") {
    const TestDirectory directory;
    const UniqueFd parent = directory.open();
    const std::string name(200, 'd');
    UniqueFd at = directory.make("tree");
    for (int depth = 0; depth < 100; ++depth) {
        REQUIRE(mkdirat(at.get(), name.c_str(), 0700) == 0);
        at = UniqueFd{openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        REQUIRE(at);
    }
    const auto removed = remove_tree(parent.get(), "tree");
    REQUIRE(removed);
    CHECK(removed->entries == 101);
}

TEST_CASE("a link or file is removed itself, nothing is no error, a path is refused", "[archive]") {
    const TestDirectory directory;
    const UniqueFd parent = directory.open();
    directory.make("kept");
    std::filesystem::create_directory_symlink("kept", directory.path / "link");
    CHECK(remove_tree(parent.get(), "link"));
    CHECK(std::filesystem::exists(directory.path / "kept"));
    const auto nothing = remove_tree(parent.get(), "link");
    REQUIRE(nothing);
    CHECK(nothing->entries == 0);
    for (const char* name : {"", ".", "..", "a/b", "/"}) CHECK_FALSE(remove_tree(parent.get(), name));
}

}  // namespace
}  // namespace brokerd
