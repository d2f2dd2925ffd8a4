// What is told while the directories change.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/unit/discovery/discovery_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
using Problem = PluginDefinition::Problem;
namespace fs = std::filesystem;

namespace {

class Live : public PluginDirectories {
public:
    Live() : table_{loop_, settings()} {}

    void start() {
        create();
        table_.start();
    }
    /// Whether the plugin's endpoint becomes this: a URL, "invalid" or "absent".
    bool becomes(const std::string& name, const std::string& endpoint) {
        const bool done = run_until(loop_, [&] { return table_.endpoint(name) == endpoint; });
        if (!done) UNSCOPED_INFO(name << " stays " << table_.endpoint(name));
        return done;
    }
    /// Dispatches until the table equals what a fresh scan finds.
    bool equals_fresh_scan() {
        return run_until(loop_, [&] { return table_.definitions == fresh_scan(settings()); });
    }
    ToldTable& table() { return table_; }
    CoreLoop& loop() { return loop_; }

    ~Live() { CHECK(table_.mistakes == std::vector<std::string>{}); }
    Live(const Live&) = delete;
    Live& operator=(const Live&) = delete;

private:
    CoreLoop loop_;
    ToldTable table_;
};

}  // namespace

TEST_CASE("files are told as they are written, rewritten and deleted", "[discovery]") {
    Live live;
    live.start();
    write_file(live.etc("x.spec"), "tcp://h:1");
    CHECK(live.becomes("x", "tcp://h:1"));
    write_file(live.etc("x.spec"), "tcp://h:2");
    CHECK(live.becomes("x", "tcp://h:2"));
    write_file(live.etc("x.spec"), "nonsense");
    CHECK(live.becomes("x", "invalid"));
    fs::remove(live.etc("x.spec"));
    CHECK(live.becomes("x", "absent"));
}

TEST_CASE("files are told as they are renamed over, moved in and moved away", "[discovery]") {
    Live live;
    live.start();
    write_file(live.beside("one"), "tcp://h:1");
    write_file(live.beside("two"), "tcp://h:2");
    fs::rename(live.beside("one"), live.etc("x.spec"));
    CHECK(live.becomes("x", "tcp://h:1"));
    fs::rename(live.beside("two"), live.etc("x.spec"));
    CHECK(live.becomes("x", "tcp://h:2"));
    fs::rename(live.etc("x.spec"), live.etc("y.spec"));
    CHECK(live.becomes("y", "tcp://h:2"));
    CHECK(live.becomes("x", "absent"));
    fs::rename(live.etc("y.spec"), live.beside("away"));
    CHECK(live.becomes("y", "absent"));
}

TEST_CASE("a definition that comes first replaces the other, and gives way again", "[discovery]") {
    Live live;
    live.start();
    write_file(live.usr("x.spec"), "tcp://h:1");
    CHECK(live.becomes("x", "tcp://h:1"));
    write_file(live.etc("x.spec"), "tcp://h:2");
    CHECK(live.becomes("x", "tcp://h:2"));
    CHECK(live.table()["x"].shadows.size() == 1);
    fs::create_directory(live.run("x"));
    make_socket(live.run("x/x.sock"));
    CHECK(live.becomes("x", "unix://" + live.run("x/x.sock")));
    fs::remove_all(live.run("x"));
    CHECK(live.becomes("x", "tcp://h:2"));
    fs::remove(live.usr("x.spec"));
    CHECK(run_until(live.loop(), [&] { return live.table()["x"].shadows.empty(); }));
    CHECK(live.table().endpoint("x") == "tcp://h:2");
}

TEST_CASE("a socket is told when it is bound, and when it is replaced by another kind of file", "[discovery]") {
    Live live;
    live.start();
    make_socket(live.run("x.sock"));
    CHECK(live.becomes("x", "unix://" + live.run("x.sock")));
    write_file(live.beside("file"), "x");
    fs::rename(live.beside("file"), live.run("x.sock"));
    CHECK(live.becomes("x", "invalid"));
}

TEST_CASE("owner and mode are looked at again when they change", "[discovery]") {
    Live live;
    live.start();
    write_file(live.etc("x.spec"), "tcp://h:1");
    CHECK(live.becomes("x", "tcp://h:1"));
    REQUIRE(chmod(live.etc("x.spec").c_str(), 0666) == 0);
    CHECK(live.becomes("x", "invalid"));
    CHECK(live.table()["x"].problem == Problem::unsafe_owner);
    REQUIRE(chmod(live.etc("x.spec").c_str(), 0644) == 0);
    CHECK(live.becomes("x", "tcp://h:1"));
}

TEST_CASE("a file is not told before its writer has closed it", "[discovery]") {
    Live live;
    live.start();
    const UniqueFd file{open(live.etc("x.json").c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)};
    REQUIRE(file);
    run_ready(live.loop());
    REQUIRE(fchmod(file.get(), 0640) == 0);
    const std::string_view text = R"({"Name":"x","Addr":"tcp://h:1"})";
    for (const char c : text) {
        REQUIRE(write(file.get(), &c, 1) == 1);
        run_ready(live.loop());
    }
    // Other news of the same name do not count the file either.
    write_file(live.usr("x.spec"), "tcp://h:2");
    CHECK(live.becomes("x", "tcp://h:2"));
    CHECK(live.table()["x"].shadows.empty());
    const_cast<UniqueFd&>(file).reset();
    CHECK(live.becomes("x", "tcp://h:1"));
    for (const std::string& name : live.table().calls) CHECK(name == "x");
    CHECK(live.table().calls.size() == 2);
}

TEST_CASE("an empty file that nobody writes to is told after a while", "[discovery]") {
    Live live;
    live.start();
    const UniqueFd file{open(live.etc("x.spec").c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)};
    REQUIRE(mknod(live.etc("y.spec").c_str(), S_IFREG | 0644, 0) == 0);
    run_ready(live.loop());
    CHECK(live.table().definitions.empty());
    CHECK(live.becomes("x", "invalid"));
    CHECK(live.becomes("y", "invalid"));
    CHECK_THAT(live.table()["x"].reason, Catch::Contains("empty"));
}

TEST_CASE("a file that gets its name when it is complete is told", "[discovery]") {
    Live live;
    live.start();
    SECTION("by a hard link") {
        write_file(live.beside("x"), "tcp://h:1");
        fs::create_hard_link(live.beside("x"), live.etc("x.spec"));
        CHECK(live.becomes("x", "tcp://h:1"));
    }
    SECTION("by giving a nameless file a name") {
        const UniqueFd file{open(live.etc("").c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644)};
        if (!file) {
            WARN("skipped: no O_TMPFILE on this file system");
            return;
        }
        REQUIRE(write(file.get(), "tcp://h:1", 9) == 9);
        const std::string self = fmt::format("/proc/self/fd/{}", file.get());
        REQUIRE(linkat(AT_FDCWD, self.c_str(), AT_FDCWD, live.etc("x.spec").c_str(), AT_SYMLINK_FOLLOW) == 0);
        CHECK(live.becomes("x", "tcp://h:1"));
    }
}

TEST_CASE("directories may appear later, with or without contents, and go", "[discovery]") {
    Live live;
    live.start();
    SECTION("made and filled at once") {
        fs::create_directories(live.etc("v/s/v"));
        write_file(live.etc("v/s/v/s.spec"), "tcp://h:1");
        CHECK(live.becomes("v/s", "tcp://h:1"));
        fs::remove_all(live.etc("v"));
        CHECK(live.becomes("v/s", "absent"));
    }
    SECTION("moved in whole, moved within, and away") {
        fs::create_directories(live.beside("made/w"));
        write_file(live.beside("made/s.spec"), "tcp://h:1");
        write_file(live.beside("made/w/t.spec"), "tcp://h:2");
        fs::rename(live.beside("made"), live.etc("v"));
        CHECK(live.becomes("v/s", "tcp://h:1"));
        CHECK(live.becomes("v/w/t", "tcp://h:2"));
        fs::rename(live.etc("v"), live.etc("u"));
        CHECK(live.becomes("u/w/t", "tcp://h:2"));
        CHECK(live.becomes("v/w/t", "absent"));
        CHECK(live.becomes("v/s", "absent"));
        write_file(live.etc("u/w/t.spec"), "tcp://h:3");
        CHECK(live.becomes("u/w/t", "tcp://h:3"));
        fs::rename(live.etc("u"), live.beside("made"));
        CHECK(live.becomes("u/s", "absent"));
        CHECK(live.becomes("u/w/t", "absent"));
    }
    SECTION("replaced by another of the same name") {
        fs::create_directory(live.etc("v"));
        write_file(live.etc("v/a.spec"), "tcp://h:1");
        CHECK(live.becomes("v/a", "tcp://h:1"));
        fs::create_directory(live.beside("other"));
        write_file(live.beside("other/b.spec"), "tcp://h:2");
        fs::rename(live.etc("v"), live.beside("old"));
        fs::rename(live.beside("other"), live.etc("v"));
        CHECK(live.becomes("v/b", "tcp://h:2"));
        CHECK(live.becomes("v/a", "absent"));
        write_file(live.etc("v/b.spec"), "tcp://h:3");
        CHECK(live.becomes("v/b", "tcp://h:3"));
    }
}

TEST_CASE("a directory that is swapped for another does not make its plugins vanish in between", "[discovery]") {
    const TemporaryDirectory directory;
    for (const char* name : {"v1", "v2"}) {
        fs::create_directories(directory / name + "/sub");
        write_file(directory / name + "/same.spec", "tcp://h:1");
        write_file(directory / name + "/sub/changed.spec", std::string{"tcp://"} + name + ":1");
    }
    fs::create_symlink("v1", directory / "root");
    CoreLoop loop;
    ToldTable table{loop, {directory / "none", {directory / "root"}, false}};
    table.start();
    REQUIRE(table.calls.size() == 2);
    fs::create_symlink("v2", directory / "new");
    fs::rename(directory / "new", directory / "root");
    CHECK(run_until(loop, [&] { return table.endpoint("sub/changed") == "tcp://v2:1"; }));
    run_ready(loop);
    CHECK(table.calls.size() == 3);
    CHECK(table.calls.back() == "sub/changed");
}

TEST_CASE("directories that may not be entered are entered once they may", "[discovery]") {
    if (geteuid() == 0) {
        WARN("skipped: root may enter every directory");
        return;
    }
    Live live;
    live.start();
    fs::create_directory(live.etc("v"));
    write_file(live.etc("v/x.spec"), "tcp://h:1");
    CHECK(live.becomes("v/x", "tcp://h:1"));
    for (const fs::perms refused : {fs::perms::none, fs::perms::owner_read, fs::perms::owner_exec}) {
        fs::permissions(live.etc("v"), refused);
        CHECK(live.equals_fresh_scan());
        fs::permissions(live.etc("v"), fs::perms::owner_all);
        CHECK(live.becomes("v/x", "tcp://h:1"));
    }
}

TEST_CASE("roots that do not exist yet are found when they appear", "[discovery]") {
    const TemporaryDirectory directory;
    CoreLoop loop;
    const std::string root = directory / "a/b/plugins";
    ToldTable table{loop, {directory / "none", {root}, false}};
    table.start();
    const auto becomes = [&](const std::string& endpoint) {
        return run_until(loop, [&] { return table.endpoint("x") == endpoint; });
    };
    fs::create_directories(root);
    write_file(root + "/x.spec", "tcp://h:1");
    CHECK(becomes("tcp://h:1"));
    fs::rename(directory / "a", directory / "z");
    CHECK(becomes("absent"));
    write_file(directory / "z/b/plugins/x.spec", "tcp://h:2");
    fs::rename(directory / "z", directory / "a");
    CHECK(becomes("tcp://h:2"));
    fs::remove_all(directory / "a");
    CHECK(becomes("absent"));
    fs::create_directories(root);
    write_file(root + "/x.spec", "tcp://h:3");
    CHECK(becomes("tcp://h:3"));

    fs::rename(root, directory / "real");
    CHECK(becomes("absent"));
    fs::create_symlink("../../real", root);
    CHECK(becomes("tcp://h:3"));
    write_file(directory / "real/x.spec", "tcp://h:4");
    CHECK(becomes("tcp://h:4"));
    fs::rename(directory / "real", directory / "unreal");
    CHECK(becomes("absent"));
    CHECK(table.mistakes == std::vector<std::string>{});
}

TEST_CASE("targets of links are watched, inside the directories and outside", "[discovery]") {
    Live live;
    live.start();
    SECTION("a file outside") {
        fs::create_symlink(live.beside("target"), live.etc("x.spec"));
        CHECK(live.becomes("x", "invalid"));
        write_file(live.beside("target"), "tcp://h:1");
        CHECK(live.becomes("x", "tcp://h:1"));
        write_file(live.beside("target"), "tcp://h:2");
        CHECK(live.becomes("x", "tcp://h:2"));
        fs::remove(live.beside("target"));
        CHECK(live.becomes("x", "invalid"));
        fs::remove(live.etc("x.spec"));
        CHECK(live.becomes("x", "absent"));
    }
    SECTION("a file inside") {
        write_file(live.etc("x.spec"), "tcp://h:1");
        fs::create_symlink("x.spec", live.etc("y.spec"));
        CHECK(live.becomes("y", "tcp://h:1"));
        write_file(live.etc("x.spec"), "tcp://h:2");
        CHECK(live.becomes("x", "tcp://h:2"));
        CHECK(live.becomes("y", "tcp://h:2"));
    }
    SECTION("a directory that appears later, below one that moves away") {
        fs::create_symlink(live.beside("up/dir"), live.etc("v"));
        run_ready(live.loop());
        fs::create_directories(live.beside("up/dir"));
        write_file(live.beside("up/dir/s.spec"), "tcp://h:1");
        CHECK(live.becomes("v/s", "tcp://h:1"));
        write_file(live.beside("up/dir/s.spec"), "tcp://h:2");
        CHECK(live.becomes("v/s", "tcp://h:2"));
        fs::rename(live.beside("up"), live.beside("down"));
        CHECK(live.becomes("v/s", "absent"));
        fs::rename(live.beside("down"), live.beside("up"));
        CHECK(live.becomes("v/s", "tcp://h:2"));
    }
}

TEST_CASE("one directory under two names is told under both", "[discovery]") {
    Live live;
    live.start();
    fs::create_directory(live.etc("a"));
    fs::create_symlink("a", live.etc("b"));
    write_file(live.etc("a/x.spec"), "tcp://h:1");
    CHECK(live.becomes("a/x", "tcp://h:1"));
    CHECK(live.becomes("b/x", "tcp://h:1"));
    fs::remove(live.etc("b"));
    CHECK(live.becomes("b/x", "absent"));
    write_file(live.etc("a/x.spec"), "tcp://h:2");
    CHECK(live.becomes("a/x", "tcp://h:2"));
}

TEST_CASE("a rescan tells only what differs", "[discovery]") {
    PluginDirectories directories;
    directories.create();
    write_file(directories.etc("x.spec"), "tcp://h:1");
    make_socket(directories.run("own.sock"));
    CoreLoop loop;
    bool own = true;
    ToldTable table{loop, directories.settings(), [&](const struct stat&) { return own; }};
    table.start();
    CHECK(table.calls == std::vector<std::string>{"x"});
    table.rescan();
    CHECK(table.calls == std::vector<std::string>{"x"});
    own = false;  // nothing on disk says so
    table.rescan();
    CHECK(table.calls == std::vector<std::string>{"x", "own"});
    CHECK(table.mistakes == std::vector<std::string>{});
}

TEST_CASE("other directories are read at once, and only what differs is told", "[discovery]") {
    Live live;
    live.start();
    write_file(live.etc("stays.spec"), "tcp://h:1");
    write_file(live.etc("moves.spec"), "tcp://h:2");
    write_file(live.etc("goes.spec"), "tcp://h:3");
    REQUIRE((live.becomes("stays", "tcp://h:1") && live.becomes("moves", "tcp://h:2") &&
             live.becomes("goes", "tcp://h:3")));
    fs::create_directory(live.beside("other"));
    write_file(live.beside("other/moves.spec"), "tcp://h:4");
    write_file(live.beside("other/comes.spec"), "tcp://h:5");
    fs::remove(live.etc("goes.spec"));
    live.table().calls.clear();
    live.table().configure({live.run(""), {live.beside("other"), live.etc("")}, false});
    CHECK(live.becomes("comes", "tcp://h:5"));
    CHECK(live.becomes("moves", "tcp://h:4"));
    CHECK(live.becomes("goes", "absent"));
    CHECK(std::count(live.table().calls.begin(), live.table().calls.end(), "stays") == 0);
    write_file(live.beside("other/comes.spec"), "tcp://h:6");  // it is watched
    CHECK(live.becomes("comes", "tcp://h:6"));
    live.table().configure(live.settings());
    CHECK(live.becomes("comes", "absent"));
    CHECK(live.becomes("moves", "tcp://h:2"));
    CHECK(live.equals_fresh_scan());
}

TEST_CASE("a listener that fails, or asks for a rescan, gets the rest of the news", "[discovery]") {
    PluginDirectories directories;
    directories.create();
    for (const char* name : {"a", "b", "c"}) write_file(directories.etc(name) + ".spec", "tcp://h:1");
    CoreLoop loop;
    std::unique_ptr<Discovery> discovery;
    int calls = 0;
    discovery = std::make_unique<Discovery>(loop, directories.settings(), Discovery::IsOwnSocket{},
                                            [&](const std::string&, const std::optional<PluginDefinition>&) {
                                                ++calls;
                                                discovery->rescan();
                                                throw std::runtime_error{"a failing listener, on purpose"};
                                            });
    discovery->start();
    CHECK(calls == 3);
}

TEST_CASE("after an overflow of the queue everything is read again", "[discovery]") {
    std::size_t limit = 16384;
    std::ifstream{"/proc/sys/fs/inotify/max_queued_events"} >> limit;
    if (limit > 100'000) {
        WARN("skipped: fs.inotify.max_queued_events is too high to flood");
        return;
    }
    Live live;
    live.start();
    write_file(live.etc("gone.spec"), "tcp://h:1");
    CHECK(live.becomes("gone", "tcp://h:1"));
    const std::string noise = live.etc("noise");
    for (std::size_t i = 0; i <= limit; ++i) {
        // Equal events in a row are merged by the kernel: these alternate.
        REQUIRE(mknod(noise.c_str(), S_IFREG | 0644, 0) == 0);
        REQUIRE(unlink(noise.c_str()) == 0);
    }
    // The queue is full: of what follows there is no event.
    fs::remove(live.etc("gone.spec"));
    fs::create_directory(live.etc("v"));
    write_file(live.etc("v/s.spec"), "tcp://h:2");
    CHECK(live.becomes("v/s", "tcp://h:2"));
    CHECK(live.becomes("gone", "absent"));
    write_file(live.etc("v/s.spec"), "tcp://h:3");
    CHECK(live.becomes("v/s", "tcp://h:3"));
    CHECK(live.equals_fresh_scan());
}
