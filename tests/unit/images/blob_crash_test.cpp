#include <sys/syscall.h>

#include <cerrno>

#include "tests/unit/images/child_process.h"
#include "tests/unit/images/image_fixture.h"

using namespace brokerd;
using namespace brokerd::test;

namespace {

/// Every name in the store must keep its promise.
void check_whole(const StoreFixture& fixture) {
    for (const std::string& name : names_in(fixture.path + "/sha256")) {
        const auto digest = Digest::from_hex(name);
        REQUIRE(digest);
        CHECK(fixture.store->verify(*digest));
    }
}

/// The calls that change something on disk, under each name that the C library may use.
struct ChangingCall {
    std::string name;
    std::initializer_list<long> numbers;
};
const ChangingCall kCalls[] = {
    {"openat", {SYS_openat}},
    {"write", {SYS_write}},
    {"fdatasync", {SYS_fdatasync}},
    {"renameat",
     {
#ifdef SYS_renameat
         SYS_renameat,
#endif
         SYS_renameat2}},
    {"fsync", {SYS_fsync}},
};

std::string put_in_child(const StoreFixture& fixture, const ChangingCall& call, int code) {
    return in_child([&]() -> std::string {
        auto& store = *fixture.store;
        const std::string bytes(6'000'000, 'x');
        let_fail(call.numbers, code);
        auto writer = store.begin(Sha256::of(bytes), bytes.size());
        if (!writer) return writer.error().message;
        if (auto written = writer->write(bytes); !written) return written.error().message;
        const auto pin = writer->commit();
        return pin ? "committed" : pin.error().message;
    });
}

}  // namespace

TEST_CASE_METHOD(StoreFixture, "killed at any system call, a store holds whole blobs and no leftovers", "[images]") {
    const Digest first = put("the first");
    const std::string bytes(5'000'000, 'z');
    unsigned stop = 1;
    for (;; ++stop) {
        const KillResult result = kill_at(stop, [&] {
            const auto opened = BlobStore::open(path);
            if (!opened) return;
            (void)(*opened)->put(bytes);
            (void)(*opened)->put("small");
            (void)(*opened)->collect(std::set<Digest>{first});
        });
        if (result == KillResult::not_traceable) {
            WARN("skipped: this kernel lets nobody trace a child");
            return;
        }
        INFO("killed at stop " << stop);
        store = open();
        CHECK(temporary_files().empty());
        CHECK(store->size(first) == 9);
        check_whole(*this);
        REQUIRE(store->collect(std::set<Digest>{first}));
        CHECK(names_in(path + "/sha256").size() == 1);
        if (result == KillResult::finished) break;
    }
    CHECK(stop > 60);
}

TEST_CASE_METHOD(StoreFixture, "when the disk fails, the error says what to do and nothing is left", "[images]") {
    struct Fault {
        int code;
        std::string advice;
    };
    const Fault kFaults[] = {{ENOSPC, "No space left on device; free space on that file system"},
                             {EDQUOT, "raise the quota"},
                             {EROFS, "make that file system writable"},
                             {EIO, "the disk is at fault"}};
    const Digest before = put("before");
    for (const ChangingCall& call : kCalls) {
        for (const Fault& fault : kFaults) {
            INFO(call.name << " fails with " << fault.code);
            const std::string outcome = put_in_child(*this, call, fault.code);
            CHECK_THAT(outcome, Catch::StartsWith("cannot "));
            CHECK_THAT(outcome, Catch::Contains(path));
            CHECK_THAT(outcome, Catch::Contains(fault.advice));
            CHECK(temporary_files().empty());
            CHECK(*store->read_small(before, 100) == "before");
            check_whole(*this);
            (void)store->collect(std::set<Digest>{before});
            CHECK(names_in(path + "/sha256").size() == 1);
        }
    }
}

TEST_CASE_METHOD(StoreFixture, "a store with files that cannot be removed is still read from", "[images]") {
    const Digest digest = put("before");
    write_file(path + "/tmp/17", "left by a crash");
    CHECK(in_child([&]() -> std::string {
              let_fail({SYS_unlinkat}, EROFS);
              const auto opened = BlobStore::open(path);
              if (!opened) return opened.error().message;
              if (!(*opened)->read_small(digest, 100)) return "not readable";
              const auto collected = (*opened)->collect(std::set<Digest>{});
              return collected ? "collected" : collected.error().message;
          }) == "cannot remove unused blobs from " + path +
                    ": Read-only file system; make that file system writable and try again");
    CHECK(store->size(digest) == 6);
}
