#include "daemon/loop/workers.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <latch>
#include <string>

#include "tests/unit/loop/loop_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

/// How many threads of this process are workers.
std::ptrdiff_t worker_threads() {
    std::ptrdiff_t count = 0;
    for (const auto& task : fs::directory_iterator{"/proc/self/task"}) {
        std::string name;
        std::getline(std::ifstream{task.path() / "comm"}, name);  // empty: it has ended
        if (name == "worker") ++count;
    }
    return count;
}

/// Runs so many jobs that all wait for each other.
void run_together(CoreLoop& loop, Workers& workers, std::ptrdiff_t count) {
    std::latch all{count};
    std::ptrdiff_t done = 0;
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        workers.run(
            [&all] {
                all.arrive_and_wait();
                return true;
            },
            [&done](bool) { ++done; });
    }
    REQUIRE(run_until(loop, [&] { return done == count; }));
}

}  // namespace

TEST_CASE("workers but one end when there is nothing to do, and others come when there is", "[loop]") {
    CoreLoop loop;
    Workers workers{loop, 8, 20ms};
    for (int round = 0; round < 3; ++round) {
        run_together(loop, workers, 8);
        CHECK(run_until(loop, [] { return worker_threads() == 1; }));
    }
    run_together(loop, workers, 1);
}

TEST_CASE("workers are bounded, and what waits is done in its turn or dropped", "[loop]") {
    CoreLoop loop;
    int done = 0;
    std::latch go{1};
    {
        Workers workers{loop, 2, 1h};
        for (int i = 0; i < 2; ++i) {
            workers.run(
                [&go] {
                    go.wait();
                    return true;
                },
                [&done](bool) { ++done; });
        }
        for (int i = 0; i < 5; ++i) workers.run([] { return true; }, [&done](bool) { ++done; });
        CHECK(worker_threads() <= 2);
        go.count_down();
        REQUIRE(run_until(loop, [&] { return done == 7; }));
        CHECK(run_until(loop, [] { return worker_threads() == 2; }));  // the second may only now come to its name
    }
    CHECK(worker_threads() == 0);
}
