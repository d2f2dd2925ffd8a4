// The store is killed at every system call of every operation, and starved of its disk.
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <random>

#include "tests/unit/images/child_process.h"
#include "tests/unit/managed/store_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
namespace fs = std::filesystem;

namespace {

/// All that an operator sees of the plugins, in a text: name, settings, config, content.
std::string state_of(const PluginStore& store) {
    std::string state;
    for (const PluginRecordPtr& record : store.records()) {
        state += fmt::format("{} {} {} {} {}\n", record->name, record->config->description, record->settings.env[0],
                             record->enabled, read_file(store.rootfs_of(record->id) + "/marker"));
    }
    return state;
}

PluginRecordPtr named(const PluginStore& store, const std::string& name) {
    const PluginRecordPtr record = store.find_name(name);
    if (record == nullptr) throw std::runtime_error{"no " + name};
    return record;
}

/// An operation; its answer is the error, or nothing.
using Operation = std::function<std::string(PluginStore&)>;

template <class T>
std::string outcome(const Result<T, StoreError>& result) {
    return result ? std::string{} : result.error().message;
}

Operation installing(const std::string& name, const std::string& marker) {
    return [=](PluginStore& store) -> std::string {
        auto staged = store.stage();
        if (!staged) return staged.error().message;
        write_file(staged->rootfs_path() + "/marker", marker);
        return outcome(store.install(std::move(*staged), make_record(name, marker)));
    };
}

Operation setting(const std::string& name, const std::string& value) {
    return [=](PluginStore& store) {
        PluginRecord record = *named(store, name);
        record.settings.env = NullableList<std::string>{"A=" + value};
        record.enabled = !record.enabled;
        return outcome(store.update(record));
    };
}

Operation upgrading(const std::string& name, const std::string& marker, bool and_back = false) {
    return [=](PluginStore& store) -> std::string {
        auto staged = store.stage();
        if (!staged) return staged.error().message;
        write_file(staged->rootfs_path() + "/marker", marker);
        const PluginRecordPtr old = named(store, name);
        PluginRecord record = make_record(name, marker);
        record.id = old->id;
        record.revision = old->revision;
        auto upgraded = store.upgrade(std::move(*staged), record);
        if (!upgraded || !and_back) return outcome(upgraded);
        return outcome(store.upgrade(std::move(upgraded->previous), *upgraded->previous_record));
    };
}

Operation removing(const std::string& name) {
    return [=](PluginStore& store) { return outcome(store.remove(named(store, name)->id)); };
}

struct Case {
    std::string name;
    Operation operation;
};

const std::vector<Case>& cases() {
    static const std::vector<Case> all{{"install", installing("c/new:latest", "new")},
                                       {"set", setting("a/x:latest", "9")},
                                       {"upgrade", upgrading("a/x:latest", "two")},
                                       {"upgrade and back", upgrading("a/x:latest", "two", true)},
                                       {"remove", removing("a/x:latest")}};
    return all;
}

void prepare(const StateRoot& root) {
    fs::remove_all(root.plugins());
    PluginStore store = open_store(root.path());
    install(store, "a/x:latest", "one");
    install(store, "b/y:latest", "other");
}

/// Nothing may be left over, and a second start has nothing to say.
void check_tidy(const StateRoot& root, const PluginStore& store) {
    CHECK(names_below(root.plugins("tmp")).empty());
    for (const auto& entry : fs::recursive_directory_iterator{root.plugins()}) {
        CHECK(entry.path().extension() != ".new");  // a file that was being written
    }
    std::size_t directories = 0;
    for (const std::string& name : names_below(root.plugins())) directories += is_plugin_id(name) ? 1U : 0U;
    CHECK(directories == store.records().size());
    for (const PluginRecordPtr& record : store.records()) CHECK(record->broken.empty());
    std::vector<std::string> findings;
    const PluginStore again = open_store(root.path(), &findings);
    CHECK(findings.empty());
    CHECK(state_of(again) == state_of(store));
}

}  // namespace

TEST_CASE("killed at any system call, an operation is done or undone", "[managed]") {
    for (const Case& one : cases()) {
        const StateRoot root;
        prepare(root);
        std::set<std::string> allowed{state_of(open_store(root.path()))};
        {
            PluginStore store = open_store(root.path());
            // "upgrade and back" passes through the upgraded state.
            if (one.name == "upgrade and back") {
                REQUIRE(upgrading("a/x:latest", "two")(store).empty());
                allowed.insert(state_of(store));
                prepare(root);
                store = open_store(root.path());
            }
            REQUIRE(one.operation(store).empty());
            allowed.insert(state_of(store));
        }
        bool redone = false;
        unsigned stop = 1;
        for (;; stop += 2) {  // after one call is before the next
            prepare(root);
            const KillResult result = kill_at(stop, [&] {
                PluginStore store = open_store(root.path());
                (void)one.operation(store);
            });
            if (result == KillResult::not_traceable) {
                WARN("skipped: this kernel lets nobody trace a child");
                return;
            }
            INFO(one.name << " killed at stop " << stop);
            std::vector<std::string> findings;
            PluginStore store = open_store(root.path(), &findings);
            CHECK(findings.empty());
            CHECK(allowed.contains(state_of(store)));
            check_tidy(root, store);
            if (stop % 16 == 1 && state_of(store) == *allowed.begin() && one.name == "install") {
                CHECK(one.operation(store).empty());
                redone = true;
            }
            if (result == KillResult::finished) break;
        }
        CHECK(stop > 60);
        CHECK((redone || one.name != "install"));
    }
}

TEST_CASE("killed again while it recovers, the store still is before or after", "[managed]") {
    const StateRoot root;
    prepare(root);
    const std::string before = state_of(open_store(root.path()));
    std::mt19937 random{7};
    for (int round = 0; round < 60; ++round) {
        prepare(root);
        std::string after;
        const auto stop = static_cast<unsigned>(60 + random() % 140);
        const KillResult result = kill_at(stop, [&] {
            PluginStore store = open_store(root.path());
            (void)upgrading("a/x:latest", "two")(store);
        });
        if (result == KillResult::not_traceable) return;
        for (unsigned again = 0; again < 3; ++again) {
            (void)kill_at(static_cast<unsigned>(10 + random() % 80), [&] { open_store(root.path()); });
        }
        INFO("killed at stop " << stop);
        const PluginStore store = open_store(root.path());
        const std::string state = state_of(store);
        const bool upgraded = state.find("a/x:latest two A=1 false two\n") == 0;
        CHECK((state == before || upgraded));
        check_tidy(root, store);
    }
}

TEST_CASE("random operations, each killed somewhere, follow the model", "[managed]") {
    const StateRoot root;
    std::mt19937 random{11};
    unsigned killed = 0;
    for (int round = 0; round < 150; ++round) {
        PluginStore store = open_store(root.path());
        const std::string before = state_of(store);
        const std::string name = fmt::format("p/n{}:latest", random() % 4);
        const std::string marker = fmt::format("m{}", round);
        const bool there = store.find_name(name) != nullptr;
        const Operation operation = !there              ? installing(name, marker)
                                    : random() % 3 == 0 ? removing(name)
                                    : random() % 2 == 0 ? setting(name, marker)
                                                        : upgrading(name, marker);
        const KillResult result = kill_at(static_cast<unsigned>(20 + random() % 200), [&] {
            PluginStore own = open_store(root.path());
            (void)operation(own);
        });
        if (result == KillResult::not_traceable) return;
        killed += result == KillResult::killed ? 1 : 0;
        std::vector<std::string> findings;
        PluginStore reopened = open_store(root.path(), &findings);
        CHECK(findings.empty());
        check_tidy(root, reopened);
        if (state_of(reopened) != before) continue;
        // It was undone, so it can be done now.
        CHECK(operation(reopened).empty());
        CHECK(state_of(reopened) != before);
    }
    CHECK(killed > 40);
}

TEST_CASE("when the disk fails, an operation is refused and nothing has changed", "[managed]") {
    const std::vector<std::pair<std::string, std::vector<long>>> calls{{"write", {SYS_write}},
                                                                       {"fsync", {SYS_fsync}},
                                                                       {"rename", {SYS_renameat, SYS_renameat2}},
                                                                       {"mkdir", {SYS_mkdirat, SYS_mkdir}}};
    for (const Case& one : cases()) {
        for (const auto& [call, numbers] : calls) {
            for (const int code : {ENOSPC, EIO, EROFS, EDQUOT}) {
                const StateRoot root;
                prepare(root);
                const std::string before = state_of(open_store(root.path()));
                INFO(one.name << ", " << call << " fails with " << code);
                const std::string said = in_child([&, &which = numbers]() -> std::string {
                    PluginStore store = open_store(root.path());
                    if (which.size() == 1) let_fail({which[0]}, code);
                    if (which.size() == 2) let_fail({which[0], which[1]}, code);
                    const std::string message = one.operation(store);
                    if (message.empty()) return "done";
                    return state_of(store) == before ? message : "changed in memory: " + message;
                });
                PluginStore store = open_store(root.path());
                if (said == "done") {
                    CHECK(state_of(store) != before);  // it needs no such call
                } else {
                    CHECK_THAT(said, Catch::StartsWith("cannot "));
                    CHECK(state_of(store) == before);
                }
                check_tidy(root, store);
                if (said != "done") CHECK(one.operation(store).empty());
            }
        }
    }
}

namespace {

/// Runs `work` in a child whose `path` is a small file system of its own. Empty: this needs root.
std::string on_small_disk(const std::string& path, const std::function<std::string()>& work) {
    return in_child([&]() -> std::string {
        if (::unshare(CLONE_NEWNS) != 0) return {};
        if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return {};
        if (::mount("small", path.c_str(), "tmpfs", 0, "size=96k") != 0) return {};
        return work();
    });
}

}  // namespace

TEST_CASE("a full disk and a read-only one leave everything as it was", "[managed]") {
    const StateRoot root;
    const std::string said = on_small_disk(root.path(), [&]() -> std::string {
        PluginStore store = open_store(root.path());
        std::string message;
        int count = 0;
        while (message.empty() && count < 100) message = installing(fmt::format("f/n{}:latest", count++), "x")(store);
        const std::string full = state_of(store);
        if (message.find("No space left on device; free space") == std::string::npos)
            return "no error: " + message;
        if (state_of(open_store(root.path())) != full) return "another state after a restart";
        if (!store.remove(store.records()[0]->id)) return "cannot remove from a full disk";
        if (::mount(nullptr, root.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0) return "remount";
        const std::string refused = setting(store.records()[0]->name, "2")(store);
        if (refused.find("Read-only file system; make that file system writable") == std::string::npos) return "no error: " + refused;
        std::vector<std::string> findings;
        if (open_store(root.path(), &findings).records().size() != store.records().size()) return "lost on a restart";
        return "fine";
    });
    if (said.empty()) {
        WARN("skipped: only root can mount");
        return;
    }
    CHECK(said == "fine");
}
