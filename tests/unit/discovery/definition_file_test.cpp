#include "daemon/discovery/definition_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "daemon/discovery/definition_text.h"
#include "tests/unit/loop/loop_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
using Problem = PluginDefinition::Problem;
using Source = PluginDefinition::Source;
namespace fs = std::filesystem;

namespace {

constexpr const char* kUrl = "tcp://localhost:1\n";

PluginDefinition load(const std::string& file, Source source = Source::spec, FileTrust trust = FileTrust::root_or_own) {
    return load_definition("moby", file, source, trust);
}

}  // namespace

TEST_CASE("a readable file of ours is believed", "[discovery]") {
    const TemporaryDirectory directory;
    const std::string file = directory / "moby.spec";
    write_file(file, kUrl);
    for (const mode_t mode : {0644U, 0600U, 0444U, 0755U}) {
        REQUIRE(chmod(file.c_str(), mode) == 0);
        const PluginDefinition definition = load(file);
        INFO(definition.reason);
        CHECK(definition.endpoint);
        CHECK(definition.file == file);
        CHECK(definition.name == "moby");
    }
}

TEST_CASE("a symbolic link is followed", "[discovery]") {
    const TemporaryDirectory directory;
    write_file(directory / "real", kUrl);
    fs::create_symlink("real", directory / "moby.spec");
    const PluginDefinition definition = load(directory / "moby.spec");
    CHECK(definition.endpoint);
    CHECK(definition.file == directory / "moby.spec");
}

TEST_CASE("a file that others can write is refused, and says how to mend it", "[discovery]") {
    const TemporaryDirectory directory;
    const std::string file = directory / "moby.spec";
    write_file(file, kUrl);
    REQUIRE(chmod(file.c_str(), 0646) == 0);

    SECTION("directly") {
        const PluginDefinition definition = load(file);
        CHECK(definition.problem == Problem::unsafe_owner);
        CHECK_THAT(definition.reason, Catch::Contains("0646"));
        CHECK(definition.remedy == "chmod 644 " + file);
        CHECK(load(file, Source::spec, FileTrust::anybody).endpoint);
    }
    SECTION("through a link") {
        fs::create_symlink("moby.spec", directory / "link.spec");
        CHECK(load(directory / "link.spec").problem == Problem::unsafe_owner);
    }
}

TEST_CASE("a file that a group other than root's can write is refused", "[discovery]") {
    if (geteuid() != 0) {
        WARN("skipped: changing a file's group needs root");
        return;
    }
    const TemporaryDirectory directory;
    const std::string file = directory / "moby.spec";
    write_file(file, kUrl);
    REQUIRE(chmod(file.c_str(), 0664) == 0);
    CHECK(load(file).endpoint);
    REQUIRE(chown(file.c_str(), 0, 1) == 0);
    CHECK(load(file).problem == Problem::unsafe_owner);
}

TEST_CASE("a file of another user is refused, and says how to mend it", "[discovery]") {
    if (geteuid() != 0) {
        WARN("skipped: giving a file away needs root");
        return;
    }
    const TemporaryDirectory directory;
    write_file(directory / "moby.spec", kUrl);
    make_socket(directory / "moby.sock");
    for (const char* name : {"moby.spec", "moby.sock"}) {
        const std::string file = directory / name;
        REQUIRE(chmod(file.c_str(), 0666) == 0);
        REQUIRE(chown(file.c_str(), 65534, 65534) == 0);
    }
    const PluginDefinition spec = load(directory / "moby.spec");
    CHECK(spec.problem == Problem::unsafe_owner);
    CHECK_THAT(spec.reason, Catch::Contains("belongs to user 65534") && Catch::Contains("0666"));
    CHECK(spec.remedy == "chown root:root " + spec.file + "; chmod 644 " + spec.file);

    const PluginDefinition socket = load(directory / "moby.sock", Source::socket);
    CHECK(socket.problem == Problem::unsafe_owner);
    CHECK(socket.remedy == "chown root:root " + socket.file);
    CHECK(load(directory / "moby.sock", Source::socket, FileTrust::anybody).endpoint);
}

TEST_CASE("a socket is its own endpoint, whoever may connect to it", "[discovery]") {
    const TemporaryDirectory directory;
    const std::string file = directory / "moby.sock";
    make_socket(file);
    REQUIRE(chmod(file.c_str(), 0777) == 0);
    const PluginDefinition definition = load(file, Source::socket);
    INFO(definition.reason);
    REQUIRE(definition.endpoint);
    CHECK(definition.endpoint->str() == "unix://" + file);
}

TEST_CASE("a socket whose path is too long for anybody to connect is malformed", "[discovery]") {
    const TemporaryDirectory directory;
    const std::string deep = directory / std::string(120, 'd');
    fs::create_directory(deep);
    make_socket(directory / "s");
    fs::rename(directory / "s", deep + "/moby.sock");
    const PluginDefinition definition = load(deep + "/moby.sock", Source::socket);
    CHECK(definition.problem == Problem::malformed);
    CHECK_THAT(definition.reason, Catch::Contains("107 bytes"));
}

TEST_CASE("whatever is not a regular file is malformed, and not waited for", "[discovery]") {
    const TemporaryDirectory directory;
    const std::string file = directory / "moby.spec";
    const auto check = [&](const char* reason) {
        const PluginDefinition definition = load(file);
        INFO(definition.reason);
        CHECK(definition.problem == Problem::malformed);
        CHECK_THAT(definition.reason, Catch::Contains(reason) && Catch::Contains(file));
        CHECK_FALSE(definition.remedy.empty());
    };
    SECTION("a FIFO") {
        REQUIRE(mkfifo(file.c_str(), 0644) == 0);
        check("is a FIFO");
    }
    SECTION("a directory") {
        fs::create_directory(file);
        check("is a directory");
    }
    SECTION("a socket") {
        make_socket(file);
        check("is a socket");
    }
    SECTION("a device") {
        fs::create_symlink("/dev/zero", file);
        check("is a character device");
    }
    SECTION("a link to nothing") {
        fs::create_symlink("nothing", file);
        check("does not exist");
    }
    SECTION("a link in a circle") {
        fs::create_symlink("moby.spec", file);
        check("in a circle");
    }
    SECTION("a regular file in place of a socket") {
        write_file(file, "x");
        const PluginDefinition definition = load(file, Source::socket);
        CHECK(definition.problem == Problem::malformed);
        CHECK_THAT(definition.reason, Catch::Contains("is a regular file, not a socket"));
    }
}

TEST_CASE("a file that cannot be read says so", "[discovery]") {
    const TemporaryDirectory directory;
    const std::string file = directory / "moby.spec";
    write_file(file, kUrl);
    REQUIRE(chmod(file.c_str(), 0) == 0);
    if (access(file.c_str(), R_OK) == 0) {
        WARN("skipped: root can read every file");
        return;
    }
    const PluginDefinition definition = load(file);
    CHECK(definition.problem == Problem::unreadable);
    CHECK_THAT(definition.reason, Catch::Contains("Permission denied"));
}

TEST_CASE("a file has a largest size", "[discovery]") {
    const TemporaryDirectory directory;
    const std::string file = directory / "moby.spec";
    struct Row {
        Source source;
        std::size_t limit;
        std::string text;
    };
    for (const Row& row : {Row{Source::spec, kMaxSpecBytes, kUrl},
                           Row{Source::json, kMaxJsonBytes, R"({"Name":"moby","Addr":"tcp://h:1"})"}}) {
        std::string text = row.text;
        text.resize(row.limit, ' ');
        write_file(file, text);
        CHECK(load(file, row.source).endpoint);
        write_file(file, text + ' ');
        const PluginDefinition definition = load(file, row.source);
        CHECK(definition.problem == Problem::malformed);
        CHECK_THAT(definition.reason, Catch::Contains("longer than " + std::to_string(row.limit)));
    }
    // Sparse, far larger than memory.
    fs::resize_file(file, std::uintmax_t{1} << 40U);
    CHECK(load(file).problem == Problem::malformed);
}
