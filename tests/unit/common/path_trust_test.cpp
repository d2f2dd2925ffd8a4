#include "common/os/path_trust.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/unit/temporary_directory.h"

namespace brokerd::test {
namespace {

namespace fs = std::filesystem;

std::string reason_of(const std::string& path) {
    const auto found = find_untrusted(path);
    return found ? found->reason : std::string{};
}

}  // namespace

TEST_CASE("a way that only root or we ourselves can change is trusted", "[common]") {
    const TemporaryDirectory directory;  // in /tmp, which has the sticky bit
    fs::create_directories(directory / "a/b");
    CHECK(reason_of(directory / "a/b/file").empty());
    CHECK(reason_of(directory / "nothing/here").empty());
    fs::create_symlink("a/b", directory / "link");
    CHECK(reason_of(directory / "link/../b/./file").empty());
    fs::create_symlink("circle", directory / "circle");
    CHECK(reason_of(directory / "circle").empty());  // whoever opens it fails
}

TEST_CASE("a directory on the way that others can write is told, with what to do", "[common]") {
    const TemporaryDirectory directory;
    fs::create_directories(directory / "a/b");
    ::chmod((directory / "a").c_str(), 0777);
    const auto found = find_untrusted(directory / "a/b/file");
    REQUIRE(found);
    CHECK(found->reason ==
          "the directory " + std::string{directory / "a"} + " can be written by others than its owner (mode 0777)");
    CHECK(found->remedy == "chmod go-w " + std::string{directory / "a"});
    ::chmod((directory / "a").c_str(), 01777);
    CHECK(reason_of(directory / "a/b/file").empty());
}

TEST_CASE("a name that a shell would obey is quoted in the command", "[common]") {
    const TemporaryDirectory directory;
    const std::string place = directory / "$(id) 'x";
    fs::create_directories(place);
    ::chmod(place.c_str(), 0777);
    const auto found = find_untrusted(place + "/file");
    REQUIRE(found);
    CHECK(found->remedy == "chmod go-w '" + directory.path() + R"(/$(id) '\''x')");
}

TEST_CASE("a link leads through places that are looked at as well", "[common]") {
    const TemporaryDirectory directory;
    fs::create_directories(directory / "open/inner");
    fs::create_symlink(std::string{directory / "open/inner"}, directory / "link");
    ::chmod((directory / "open").c_str(), 0757);
    CHECK(reason_of(directory / "link").find("/open can be written") != std::string::npos);
}

TEST_CASE("what belongs to another user is not trusted", "[common]") {
    if (::geteuid() != 0) return;  // only root can give files away
    const TemporaryDirectory directory;
    fs::create_directories(directory / "theirs/inner");
    fs::create_symlink("theirs", directory / "link");
    REQUIRE(::lchown((directory / "link").c_str(), 65534, 65534) == 0);
    CHECK(reason_of(directory / "link/inner").find("the symbolic link") == 0);
    REQUIRE(::chown((directory / "theirs").c_str(), 65534, 0) == 0);
    CHECK(reason_of(directory / "theirs/inner/file").find("belongs to user 65534") != std::string::npos);
}

}  // namespace brokerd::test
