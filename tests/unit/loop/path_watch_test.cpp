#include "daemon/loop/path_watch.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <stdexcept>

#include "tests/unit/loop/loop_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
namespace fs = std::filesystem;

namespace {

/// A watch that counts what it is told.
class Counted {
public:
    Counted(CoreLoop& loop, PathWatch& paths, const std::string& path,
            Endpoint::Links links = Endpoint::Links::followed)
        : loop_{loop},
          watch_{paths.watch(
              path, [this] { ++count_; }, links)} {}

    /// Whether it is told at least once from now on.
    bool is_told() {
        const int before = count_;
        return run_until(loop_, [&] { return count_ > before; });
    }
    /// What happened before is told, and does not count as an answer to what comes.
    void settle() { run_ready(loop_); }
    [[nodiscard]] int count() const { return count_; }

private:
    CoreLoop& loop_;
    int count_ = 0;
    std::unique_ptr<PathWatch::Watch> watch_;
};

}  // namespace

TEST_CASE("a path is told when it appears, changes its attributes, is replaced and vanishes", "[loop]") {
    const TemporaryDirectory directory;
    CoreLoop loop;
    PathWatch paths{loop};
    Counted socket{loop, paths, directory / "p.sock"};

    make_socket(directory / "p.sock");
    CHECK(socket.is_told());
    socket.settle();
    fs::permissions(directory / "p.sock", fs::perms::owner_all);
    CHECK(socket.is_told());
    socket.settle();
    make_socket(directory / "new.sock");
    fs::rename(directory / "new.sock", directory / "p.sock");
    CHECK(socket.is_told());
    socket.settle();
    fs::rename(directory / "p.sock", directory / "away.sock");
    CHECK(socket.is_told());
    socket.settle();
    fs::rename(directory / "away.sock", directory / "p.sock");
    CHECK(socket.is_told());
    socket.settle();
    fs::remove(directory / "p.sock");
    CHECK(socket.is_told());
}

TEST_CASE("neighbours of a watched path are not told", "[loop]") {
    const TemporaryDirectory directory;
    CoreLoop loop;
    PathWatch paths{loop};
    Counted one{loop, paths, directory / "one"};
    Counted other{loop, paths, directory / "other"};

    write_file(directory / "other", "x");
    CHECK(other.is_told());
    CHECK(one.count() == 0);
}

TEST_CASE("the directories of a watched path may come and go", "[loop]") {
    const TemporaryDirectory directory;
    CoreLoop loop;
    PathWatch paths{loop};
    Counted file{loop, paths, directory / "a/b/c/file"};

    SECTION("one by one") {
        for (const char* step : {"a", "a/b", "a/b/c"}) {
            fs::create_directory(directory / step);
            CHECK(file.is_told());
            file.settle();
        }
        write_file(directory / "a/b/c/file", "x");
        CHECK(file.is_told());
    }
    SECTION("all at once, with the file") {
        fs::create_directories(directory / "a/b/c");
        write_file(directory / "a/b/c/file", "x");
        CHECK(file.is_told());
    }
    SECTION("deleted and made again") {
        fs::create_directories(directory / "a/b/c");
        file.settle();
        fs::remove_all(directory / "a");
        CHECK(file.is_told());
        file.settle();
        fs::create_directories(directory / "a/b/c");
        write_file(directory / "a/b/c/file", "x");
        CHECK(file.is_told());
    }
    SECTION("an upper one moved away and back") {
        fs::create_directories(directory / "a/b/c");
        file.settle();
        fs::rename(directory / "a", directory / "elsewhere");
        CHECK(file.is_told());
        file.settle();
        write_file(directory / "elsewhere/b/c/file", "x");
        run_ready(loop);
        const int count = file.count();
        fs::rename(directory / "elsewhere", directory / "a");
        CHECK(file.is_told());
        CHECK(file.count() > count);
    }
    SECTION("one of them is a file first") {
        write_file(directory / "a", "x");
        CHECK(file.is_told());
        file.settle();
        fs::remove(directory / "a");
        fs::create_directories(directory / "a/b/c");
        write_file(directory / "a/b/c/file", "x");
        CHECK(file.is_told());
    }
}

TEST_CASE("what symbolic links lead to is watched", "[loop]") {
    const TemporaryDirectory directory;
    CoreLoop loop;
    PathWatch paths{loop};
    fs::create_directories(directory / "x/y");
    fs::create_directory(directory / "run");
    Counted file{loop, paths, directory / "run/link/file"};

    SECTION("in the middle of the path, relative") {
        fs::create_symlink("../x/y", directory / "run/link");
        CHECK(file.is_told());
        file.settle();
        write_file(directory / "x/y/file", "x");
        CHECK(file.is_told());
        file.settle();
        fs::rename(directory / "x", directory / "z");
        CHECK(file.is_told());
    }
    SECTION("at its end, absolute") {
        fs::create_directory(directory / "run/link");
        fs::create_symlink(directory / "x/y/target", directory / "run/link/file");
        CHECK(file.is_told());
        file.settle();
        write_file(directory / "x/y/target", "x");
        CHECK(file.is_told());
    }
    SECTION("in a circle") {
        fs::create_symlink("other", directory / "run/link");
        fs::create_symlink("link", directory / "run/other");
        CHECK(file.is_told());
        file.settle();
        fs::remove(directory / "run/other");
        CHECK(file.is_told());
    }
}

TEST_CASE("a link at a path whose links are refused is told, and not followed", "[loop]") {
    const TemporaryDirectory directory;
    CoreLoop loop;
    PathWatch paths{loop};
    fs::create_directory(directory / "elsewhere");
    fs::create_directory(directory / "run");
    fs::create_symlink("run", directory / "link");
    Counted refused{loop, paths, directory / "link/p.sock", Endpoint::Links::refused};
    Counted followed{loop, paths, directory / "link/p.sock"};

    fs::create_symlink("../elsewhere/p.sock", directory / "run/p.sock");
    CHECK(refused.is_told());
    refused.settle();
    CHECK(followed.count() > 0);
    const int before = refused.count();
    make_socket(directory / "elsewhere/p.sock");
    CHECK(followed.is_told());
    CHECK(refused.count() == before);
    fs::remove(directory / "run/p.sock");
    CHECK(refused.is_told());
}

TEST_CASE("contents are told only where they are asked for", "[loop]") {
    const TemporaryDirectory directory;
    CoreLoop loop;
    PathWatch entries{loop};
    PathWatch contents{loop, PathWatch::Contents::watched};
    write_file(directory / "file", "x");
    Counted entry{loop, entries, directory / "file"};
    Counted content{loop, contents, directory / "file"};

    write_file(directory / "file", "y");
    CHECK(content.is_told());
    run_ready(loop);
    CHECK(entry.count() == 0);
}

TEST_CASE("a path may contain dots, and several watches may share it", "[loop]") {
    const TemporaryDirectory directory;
    CoreLoop loop;
    PathWatch paths{loop};
    fs::create_directory(directory / "d");
    Counted plain{loop, paths, directory / "file"};
    Counted dotted{loop, paths, directory / "d/.././/file"};

    write_file(directory / "file", "x");
    CHECK(run_until(loop, [&] { return plain.count() > 0 && dotted.count() > 0; }));
    fs::remove(directory / "d");
    CHECK(dotted.is_told());
}

TEST_CASE("a callback may end its own watch and another's", "[loop]") {
    const TemporaryDirectory directory;
    CoreLoop loop;
    PathWatch paths{loop};
    std::unique_ptr<PathWatch::Watch> first;
    std::unique_ptr<PathWatch::Watch> second;
    int told = 0;
    const auto end_both = [&] {
        ++told;
        first.reset();
        second.reset();
    };
    first = paths.watch(directory / "file", end_both);
    second = paths.watch(directory / "file", end_both);

    write_file(directory / "file", "x");
    CHECK(run_until(loop, [&] { return told > 0; }));
    run_ready(loop);
    CHECK(told == 1);
}

TEST_CASE("a callback that fails does not keep the news from others", "[loop]") {
    const TemporaryDirectory directory;
    CoreLoop loop;
    PathWatch paths{loop};
    int told = 0;
    const auto fails =
        paths.watch(directory / "file", [] { throw std::runtime_error{"a failing callback, on purpose"}; });
    const auto works = paths.watch(directory / "file", [&] { ++told; });

    write_file(directory / "file", "x");
    CHECK(run_until(loop, [&] { return told > 0; }));
}

TEST_CASE("an overflow of the queue tells every watcher", "[loop]") {
    const TemporaryDirectory directory;
    CoreLoop loop;
    // The limit is read when an instance is made; lowering it for a moment needs root, flooding it does not.
    PathWatch paths{loop};
    std::size_t limit = 16384;
    std::ifstream{"/proc/sys/fs/inotify/max_queued_events"} >> limit;
    if (limit > 100'000) {
        WARN("skipped: fs.inotify.max_queued_events is too high to flood");
        return;
    }
    Counted noisy{loop, paths, directory / "noise"};
    fs::create_directory(directory / "quiet");
    Counted quiet{loop, paths, directory / "quiet/file"};
    run_ready(loop);
    const int before = quiet.count();
    for (std::size_t i = 0; i <= limit; ++i) {
        // Equal events in a row are merged by the kernel: two kinds in turn.
        write_file(directory / "noise", "x");
        fs::remove(directory / "noise");
    }
    CHECK(run_until(loop, [&] { return quiet.count() > before; }));
}
