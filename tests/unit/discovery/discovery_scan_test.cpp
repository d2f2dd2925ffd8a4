// What the first scan finds: the search order on disk, and what must not count.

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "daemon/discovery/directory_tree.h"
#include "tests/unit/discovery/discovery_fixture.h"
#include "tests/unit/no_more_descriptors.h"

using namespace brokerd;
using namespace brokerd::test;
using Problem = PluginDefinition::Problem;
namespace fs = std::filesystem;

namespace {

class Scan : public PluginDirectories {
public:
    Scan() { create(); }
    /// A .spec or .json file with an address that says where it is.
    void define(const std::string& file, int port) const {
        fs::create_directories(fs::path{file}.parent_path());
        const std::string name = fs::path{file}.stem();
        if (file.ends_with(".json")) {
            write_file(file, fmt::format(R"({{"Name":"{}","Addr":"tcp://h:{}"}})", name, port));
        } else {
            write_file(file, fmt::format("tcp://h:{}\n", port));
        }
    }
    [[nodiscard]] ToldTable::Definitions result() const { return fresh_scan(settings()); }
};

}  // namespace

TEST_CASE("the first that exists wins, and the others are told as shadows", "[discovery]") {
    const Scan scan;
    const std::vector<std::string> specs{scan.etc("x.spec"),   scan.etc("x/x.spec"), scan.etc("x.json"),
                                         scan.etc("x/x.json"), scan.usr("x.spec"),   scan.usr("x/x.spec"),
                                         scan.usr("x.json"),   scan.usr("x/x.json")};
    std::vector<std::string> files{scan.run("x.sock"), scan.run("x/x.sock")};
    files.insert(files.end(), specs.begin(), specs.end());
    make_socket(files[0]);
    fs::create_directory(scan.run("x"));
    make_socket(files[1]);
    int port = 1;
    for (const std::string& file : specs) scan.define(file, port++);

    for (std::size_t first = 0; first < files.size(); ++first) {
        const auto found = scan.result();
        REQUIRE(found.size() == 1);
        const PluginDefinition& definition = found.at("x");
        INFO(definition.reason);
        CHECK(definition.problem == Problem::none);
        CHECK(definition.file == files[first]);
        REQUIRE(definition.shadows.size() == files.size() - first - 1);
        for (std::size_t i = 0; i < definition.shadows.size(); ++i) {
            CHECK(definition.shadows[i].file == files[first + 1 + i]);
            CHECK(definition.shadows[i].reason == files[first] + " comes first in the search order");
        }
        fs::remove(files[first]);
    }
    CHECK(scan.result().empty());
}

TEST_CASE("the first that exists wins even if it is bad", "[discovery]") {
    const Scan scan;
    scan.define(scan.etc("x.json"), 1);
    SECTION("empty") {
        write_file(scan.etc("x.spec"), "");
    }
    SECTION("binary") {
        write_file(scan.etc("x.spec"), std::string(5000, '\xff'));
    }
    SECTION("huge") {
        write_file(scan.etc("x.spec"), std::string(100'000, 'x'));
    }
    SECTION("a directory") {
        fs::create_directory(scan.etc("x.spec"));
    }
    SECTION("a FIFO") {
        REQUIRE(mkfifo(scan.etc("x.spec").c_str(), 0644) == 0);
    }
    SECTION("a device") {
        fs::create_symlink("/dev/null", scan.etc("x.spec"));
    }
    const auto found = scan.result();
    REQUIRE(found.size() == 1);
    CHECK(found.at("x").problem == Problem::malformed);
    CHECK(found.at("x").file == scan.etc("x.spec"));
    CHECK(found.at("x").shadows.size() == 1);
}

TEST_CASE("what Docker's look-up passes over does not win, but is told", "[discovery]") {
    const Scan scan;
    std::string passed_over;
    SECTION("a regular file in place of a socket") {
        passed_over = scan.run("x.sock");
        write_file(passed_over, "");
    }
    SECTION("a link to nothing") {
        passed_over = scan.etc("x.spec");
        fs::create_symlink("nothing", passed_over);
    }
    SECTION("a link in a circle") {
        passed_over = scan.etc("x.spec");
        fs::create_symlink("x.spec", passed_over);
    }
    auto found = scan.result();
    REQUIRE(found.size() == 1);
    CHECK(found.at("x").problem == Problem::malformed);
    CHECK(found.at("x").file == passed_over);

    scan.define(scan.usr("x.json"), 1);
    found = scan.result();
    CHECK(found.at("x").problem == Problem::none);
    REQUIRE(found.at("x").shadows.size() == 1);
    CHECK(found.at("x").shadows[0].file == passed_over);
    CHECK_THAT(found.at("x").shadows[0].reason, Catch::EndsWith("passed over"));
}

TEST_CASE("names may have several parts, to a depth", "[discovery]") {
    const Scan scan;
    scan.define(scan.etc("v/s.spec"), 1);
    scan.define(scan.etc("v/w/v/w.spec"), 2);
    scan.define(scan.etc("a/b/c/d/e.spec"), 3);
    scan.define(scan.etc("a/b/c/d/e/f.spec"), 4);
    scan.define(scan.usr("v/s:1.0.spec"), 5);
    const auto found = scan.result();
    CHECK(found.size() == 4);
    CHECK(found.contains("v/s"));
    CHECK(found.contains("v/w"));
    CHECK(found.contains("a/b/c/d/e"));
    CHECK(found.contains("v/s:1.0"));
}

TEST_CASE("what is no plugin is not told", "[discovery]") {
    const Scan scan;
    scan.define(scan.etc(".x.spec"), 1);
    scan.define(scan.etc(".d/x.spec"), 1);
    scan.define(scan.etc("x.spec~"), 1);
    scan.define(scan.etc("x.txt"), 1);
    scan.define(scan.run("x.spec"), 1);
    make_socket(scan.etc("x.sock"));
    fs::create_directory(scan.run("x.sock"));
    fs::create_directory(scan.run(std::string(64, '0')));
    make_socket(scan.beside("s"));
    fs::rename(scan.beside("s"), scan.run(std::string(64, '0') + "/x.sock"));
    CHECK(scan.result().empty());
}

TEST_CASE("brokerd's own sockets do not exist", "[discovery]") {
    const Scan scan;
    make_socket(scan.run("own.sock"));
    make_socket(scan.run("other.sock"));
    scan.define(scan.etc("own.spec"), 1);
    struct stat own {};
    REQUIRE(stat(scan.run("own.sock").c_str(), &own) == 0);
    const auto found = fresh_scan(scan.settings(), [&](const struct stat& status) {
        return status.st_ino == own.st_ino && status.st_dev == own.st_dev;
    });
    CHECK(found.size() == 2);
    CHECK(found.at("own").file == scan.etc("own.spec"));
    CHECK(found.at("own").shadows.empty());
    CHECK(found.at("other").file == scan.run("other.sock"));
}

TEST_CASE("a file whose name cannot be a plugin's is told with that reason", "[discovery]") {
    const Scan scan;
    scan.define(scan.etc("bad name.spec"), 1);
    scan.define(scan.etc("tab\tand\x1b[31m.spec"), 1);
    scan.define(scan.etc("d\xff/x.json"), 1);
    scan.define(scan.etc("ok.spec"), 1);
    const auto found = scan.result();
    REQUIRE(found.size() == 4);
    for (const std::string name : {"bad name", "tab\\x09and\\x1b[31m", "d\\xff/x"}) {
        INFO(name);
        REQUIRE(found.contains(name));
        const PluginDefinition& definition = found.at(name);
        CHECK(definition.problem == Problem::bad_name);
        CHECK(definition.name == name);
        CHECK_FALSE(definition.endpoint);
        CHECK_FALSE(definition.remedy.empty());
        for (const char c : definition.file + definition.reason) REQUIRE((c >= ' ' && c <= '~'));
    }
}

TEST_CASE("links lead the search, and circles end it", "[discovery]") {
    const Scan scan;
    scan.define(scan.beside("elsewhere/x/x.spec"), 1);
    fs::create_symlink(scan.beside("elsewhere/x"), scan.etc("x"));
    fs::create_symlink(".", scan.etc("self"));
    fs::create_directory(scan.etc("down"));
    fs::create_symlink("..", scan.etc("down/up"));
    scan.define(scan.etc("y.spec"), 2);
    const auto found = scan.result();
    CHECK(found.size() == 2);
    CHECK(found.at("x").file == scan.etc("x/x.spec"));
    CHECK(found.at("y").file == scan.etc("y.spec"));
}

TEST_CASE("two roots may be one directory", "[discovery]") {
    const Scan scan;
    fs::remove(scan.usr(""));
    fs::create_directory_symlink(scan.etc(""), scan.usr(""));
    scan.define(scan.etc("x.spec"), 1);
    const auto found = scan.result();
    REQUIRE(found.size() == 1);
    CHECK(found.at("x").file == scan.etc("x.spec"));
    CHECK(found.at("x").shadows.size() == 1);
}

TEST_CASE("there is a largest number of definitions, and the rest is found when there is room", "[discovery]") {
    const Scan scan;
    // A hundred files under a hundred and one names of their directory: quicker to make than ten thousand files.
    constexpr std::size_t kLimit = 10'000;
    for (int i = 0; i < 100; ++i) scan.define(scan.beside(fmt::format("many/p{}.spec", i)), 1);
    for (int i = 0; i < 101; ++i) fs::create_symlink(scan.beside("many"), scan.etc(fmt::format("d{}", i)));
    CoreLoop loop;
    ToldTable table{loop, scan.settings()};
    table.start();
    CHECK(table.definitions.size() == kLimit);
    fs::remove(scan.beside("many/p0.spec"));
    fs::remove(scan.beside("many/p1.spec"));
    table.rescan();
    CHECK(table.definitions.size() == 98 * 101);
    CHECK(table.mistakes == std::vector<std::string>{});
}

TEST_CASE("directories that are too many are left out", "[discovery]") {
    const Scan scan;
    for (int i = 0; i < 100; ++i) fs::create_directories(scan.beside(fmt::format("many/{}", i)));
    for (int i = 0; i < 101; ++i) fs::create_symlink(scan.beside("many"), scan.etc(fmt::format("d{}", i)));
    scan.define(scan.etc("x.spec"), 1);
    scan.define(scan.beside("many/0/y.spec"), 2);
    const auto found = scan.result();
    CHECK(found.contains("x"));
    // Each of the hundred and one names takes 101 of the 9 998 directories that the two other roots leave.
    CHECK(found.size() >= 1 + 98);
    CHECK(found.size() <= 1 + 99);
}

TEST_CASE("links that are too many are not followed, and directories that are too deep not entered", "[discovery]") {
    const Scan scan;
    scan.define(scan.beside("one.spec"), 1);
    for (std::size_t i = 0; i <= DirectoryTree::kMaxLinks; ++i)
        fs::create_symlink(scan.beside("one.spec"), scan.etc(fmt::format("l{}.spec", i)));
    scan.define(scan.usr("a/b/c/d/deepest.spec"), 2);
    scan.define(scan.usr("a/b/c/d/e/deeper.spec"), 3);
    const auto found = scan.result();
    CHECK(found.contains("a/b/c/d/deepest"));
    CHECK_FALSE(found.contains("a/b/c/d/e/deeper"));
    // A link that is not followed still names a file, as any does; only changes of its target go unnoticed.
    CHECK(found.size() == DirectoryTree::kMaxLinks + 2);
}

TEST_CASE("where descriptors run out, what is known stays, and what is new comes with the next one", "[discovery]") {
    const Scan scan;
    scan.define(scan.etc("old.spec"), 1);
    CoreLoop loop;
    ToldTable table{loop, scan.settings()};
    table.start();
    REQUIRE(table.endpoint("old") == "tcp://h:1");
    table.calls.clear();
    scan.define(scan.etc("old.spec"), 2);
    scan.define(scan.etc("new.spec"), 3);
    {
        const NoMoreDescriptors now;
        table.rescan();
    }
    CHECK(table.endpoint("old") == "tcp://h:1");
    CHECK(table.endpoint("new") == "absent");
    CHECK(table.calls.empty());
    table.rescan();
    CHECK(table.endpoint("old") == "tcp://h:2");
    CHECK(table.endpoint("new") == "tcp://h:3");
}
