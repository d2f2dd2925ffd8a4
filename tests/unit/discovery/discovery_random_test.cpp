// Random operations on the directories, with a fixed seed: what was told then equals what a fresh scan finds.

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "daemon/loop/log.h"
#include "tests/unit/discovery/discovery_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
namespace fs = std::filesystem;

namespace {

/// Does things to a tree that has few names, so that they meet often.
class Vandal {
public:
    Vandal(const PluginDirectories& directories, unsigned seed) : directories_{directories}, random_{seed} {}

    void act() {
        // Most operations are refused now and then (no such directory, not empty …), which is as good as not done.
        const std::string path = any_path();
        const std::string other = any_path();
        std::error_code ignored;
        switch (pick(16)) {
            case 0:
            case 1:
            case 2:
                write(path);
                break;
            case 3: {
                const std::string temporary = fs::path{path}.parent_path() / ".temporary";
                write(temporary);
                fs::rename(temporary, path, ignored);
                break;
            }
            case 4: {
                const std::string outside = directories_.beside("outside");
                write(outside);
                fs::rename(outside, path, ignored);
                break;
            }
            case 5:
                fs::remove(path, ignored);
                break;
            case 6:
                fs::remove_all(path, ignored);
                break;
            case 7:
                fs::rename(path, other, ignored);
                break;
            case 8:
                fs::rename(fs::path{path}.parent_path(), fs::path{other}.parent_path(), ignored);
                break;
            case 9:
                fs::create_directories(fs::path{path}.parent_path(), ignored);
                break;
            case 10:
                fs::create_directory(path, ignored);
                break;
            case 11:
                fs::create_symlink(any_target(), path, ignored);
                break;
            case 12:
                change_mode(path);
                break;
            case 13:
                bind_socket(path);
                break;
            case 14:
                fs::create_hard_link(other, path, ignored);
                break;
            default:
                move_root();
                break;
        }
    }

private:
    std::size_t pick(std::size_t count) { return std::uniform_int_distribution<std::size_t>{0, count - 1}(random_); }

    const char* any_name() {
        static constexpr const char* kNames[]{"a", "b", "c c"};
        return kNames[pick(3)];
    }

    std::string any_path() {
        static constexpr const char* kExtensions[]{".spec", ".json", ".sock", ""};
        std::string path;
        for (std::size_t depth = pick(4); depth > 0; --depth) path += std::string{any_name()} + '/';
        path += std::string{any_name()} + kExtensions[pick(4)];
        switch (pick(3)) {
            case 0:
                return directories_.run(path);
            case 1:
                return directories_.etc(path);
            default:
                return directories_.usr(path);
        }
    }

    std::string any_target() {
        switch (pick(5)) {
            case 0:
                return directories_.beside("fixed");
            case 1:
                return directories_.beside("fixed_directory");
            case 2:
                return "..";
            case 3:
                return any_name();
            default:
                return any_path();
        }
    }

    void write(const std::string& path) {
        std::ofstream out{path, std::ios::trunc};
        static constexpr const char* kTexts[]{"",
                                              "tcp://h:1",
                                              "tcp://h:2",
                                              "nonsense",
                                              R"({"Name":"a","Addr":"tcp://h:3"})",
                                              R"({"Name":"b","Addr":"tcp://h:4"})"};
        out << kTexts[pick(6)];
    }

    void change_mode(const std::string& path) {
        std::error_code ignored;
        // Without root's rights this would end in directories that the test itself cannot enter.
        if (geteuid() != 0 && fs::is_directory(path, ignored)) return;
        static_cast<void>(chmod(path.c_str(), pick(2) == 0 ? 0666 : 0644));
    }

    void bind_socket(const std::string& path) {
        const std::string outside = directories_.beside("socket");
        std::error_code ignored;
        fs::remove(outside, ignored);
        make_socket(outside);
        fs::rename(outside, path, ignored);
    }

    void move_root() {
        std::error_code ignored;
        const std::string root = pick(2) == 0 ? directories_.etc("") : directories_.usr("");
        switch (pick(4)) {
            case 0:
                fs::rename(root, directories_.beside("moved"), ignored);
                break;
            case 1:
                fs::rename(directories_.beside("moved"), root, ignored);
                break;
            case 2:
                fs::create_directory(root, ignored);
                break;
            default:
                fs::create_symlink("fixed_directory", root, ignored);
                break;
        }
    }

    const PluginDirectories& directories_;
    std::mt19937 random_;
};

std::string describe(const ToldTable::Definitions& definitions) {
    std::string text;
    for (const auto& [name, d] : definitions) {
        text += fmt::format("{} {} {} {}", name, d.file, d.endpoint ? d.endpoint->str() : d.reason, d.shadows.size());
        for (const auto& shadow : d.shadows) text += fmt::format(" [{} {}]", shadow.file, shadow.reason);
        text += '\n';
    }
    return text;
}

/// More of them for a long run by hand.
unsigned seed_count() {
    const char* const wanted = std::getenv("BROKERD_TEST_SEEDS");
    return wanted == nullptr ? 4U : static_cast<unsigned>(std::max(1, std::atoi(wanted)));
}

}  // namespace

TEST_CASE("after any number of random operations the table equals a fresh scan", "[discovery]") {
    const unsigned seed = GENERATE(range(1U, 1U + seed_count()));
    INFO("seed " << seed);
    set_log_level(LogLevel::error);  // vandals make directories that are too deep, and that is said each time
    PluginDirectories directories;
    directories.create();
    write_file(directories.beside("fixed"), "tcp://h:9");
    fs::create_directory(directories.beside("fixed_directory"));
    write_file(directories.beside("fixed_directory/a.spec"), "tcp://h:8");
    CoreLoop loop;
    ToldTable table{loop, directories.settings()};
    table.start();
    Vandal vandal{directories, seed};
    std::mt19937 pauses{seed};
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 150; ++i) {
            vandal.act();
            if (pauses() % 4 == 0) run_ready(loop);
        }
        const bool equal = run_until(loop, [&] { return table.definitions == fresh_scan(directories.settings()); });
        INFO("round " << round << "\ntold:\n"
                      << describe(table.definitions) << "\nfresh:\n"
                      << describe(fresh_scan(directories.settings())));
        REQUIRE(equal);
        REQUIRE(table.mistakes == std::vector<std::string>{});
    }
}
