#include <thread>

#include "tests/unit/images/image_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
using namespace std::chrono_literals;

namespace {

const std::set<Digest> kNothing;

}  // namespace

TEST_CASE_METHOD(StoreFixture, "a collection removes what is neither used nor pinned", "[images]") {
    const Digest used = put("used");
    const Digest pinned = put("pinned");
    const Digest unused = put("not used");
    const BlobPin pin = store->pin(pinned);
    const auto collected = store->collect({used});
    REQUIRE(collected);
    CHECK(collected->count == 1);
    CHECK(collected->bytes == 8);
    CHECK(collected->digests == std::vector{unused});
    CHECK(store->size(used));
    CHECK(store->size(pinned));
    CHECK_FALSE(store->size(unused));
}

TEST_CASE_METHOD(StoreFixture, "the last pin decides", "[images]") {
    const Digest digest = put("x");
    std::optional<BlobPin> one = store->pin(digest);
    std::optional<BlobPin> two = store->pin(digest);
    std::optional<BlobPin> moved = std::move(*one);
    one.reset();
    two.reset();
    CHECK(store->collect(kNothing)->count == 0);
    *moved = store->pin(Sha256::of("other"));
    CHECK(store->collect(kNothing)->count == 1);
}

TEST_CASE_METHOD(StoreFixture, "blobs of a running download stay, and so does its file", "[images]") {
    auto writer = store->begin(Sha256::of("abc"), 3);
    REQUIRE(writer);
    REQUIRE(writer->write("abc"));
    write_file(path + "/tmp/stale", "left by nobody alive");
    CHECK(store->collect(kNothing)->count == 0);
    CHECK(temporary_files().size() == 1);
    {
        const auto pin = writer->commit();
        REQUIRE(pin);
        CHECK(store->collect(kNothing)->count == 0);
        CHECK(store->size(Sha256::of("abc")));
    }
    CHECK(store->collect(kNothing)->count == 1);
}

TEST_CASE_METHOD(StoreFixture, "a blob found for a job stays while the job runs", "[images]") {
    const Digest digest = put("x");
    {
        const auto found = store->find(digest, 1);
        REQUIRE(*found);
        CHECK(store->collect(kNothing)->count == 0);
    }
    CHECK(store->collect(kNothing)->count == 1);
}

TEST_CASE_METHOD(StoreFixture, "a pin that is let go while a collection runs still counts", "[images]") {
    const Digest digest = put("x");
    std::optional<BlobPin> pin = store->pin(digest);
    const Digest brief = put("y");
    // The job ends between the moment at which the inventory is read and the moment at which files are removed.
    const auto collected = store->collect([&] {
        pin.reset();
        (void)store->pin(brief);
        return std::set<Digest>{};
    });
    REQUIRE(collected);
    CHECK(collected->count == 0);
    CHECK(store->size(digest));
    CHECK(store->size(brief));
    CHECK(store->collect(kNothing)->count == 2);
}

TEST_CASE_METHOD(StoreFixture, "what is kept for a time stays for that time", "[images]") {
    const Digest digest = put("x");
    store->keep_for(digest, 10min);
    CHECK(store->collect(kNothing)->count == 0);
    store->keep_for(digest, 0min);
    CHECK(store->collect(kNothing)->count == 1);
}

TEST_CASE_METHOD(StoreFixture, "a collection leaves strange files alone", "[images]") {
    write_file(path + "/sha256/README", "somebody's");
    write_file(path + "/sha256/" + std::string(64, 'A'), "somebody's");
    CHECK(store->collect(kNothing)->count == 0);
    CHECK(names_in(path + "/sha256").size() == 2);
}

TEST_CASE_METHOD(StoreFixture, "jobs and collections at once lose nothing that is held", "[images]") {
    constexpr int kThreads = 4;
    constexpr int kRounds = 60;
    std::atomic<int> lost = 0;
    std::atomic<int> running = kThreads;
    std::vector<std::thread> jobs;
    for (int thread = 0; thread < kThreads; ++thread) {
        jobs.emplace_back([&, thread] {
            for (int round = 0; round < kRounds; ++round) {
                // Every second blob is one that other threads write too.
                const std::string bytes = std::to_string(round % 2 ? thread * kRounds + round : round);
                const auto pin = store->put(bytes);
                if (!pin || store->size(Sha256::of(bytes)) != bytes.size()) ++lost;
                const auto again = store->find(Sha256::of(bytes), bytes.size());
                if (!again || !*again) ++lost;
            }
            --running;
        });
    }
    while (running > 0) {
        if (!store->collect(kNothing)) ++lost;
    }
    for (std::thread& job : jobs) job.join();
    CHECK(lost == 0);
    REQUIRE(store->collect(kNothing));
    CHECK(names_in(path + "/sha256").empty());
    CHECK(temporary_files().empty());
}
