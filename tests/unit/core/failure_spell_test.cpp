#include "daemon/core/failure_spell.h"

#include <catch2/catch.hpp>

using namespace brokerd;
using namespace std::chrono_literals;

namespace {

constexpr FailureSpell::Clock::time_point kStart{};

}  // namespace

TEST_CASE("the first failure is told, the same one again is not", "[core]") {
    FailureSpell spell{kStart};
    CHECK(spell.fail("failed", "no such socket", kStart));
    CHECK_FALSE(spell.fail("failed", "no such socket", kStart + 2s));
    CHECK(spell.failures() == 2);
}

TEST_CASE("numbers in a reason make no other failure, words do", "[core]") {
    FailureSpell spell{kStart};
    CHECK(spell.fail("restarting", "it exited with status 1 0.2 s after its start: pid 4711, id 7f3a", kStart));
    CHECK_FALSE(
        spell.fail("restarting", "it exited with status 1 0.31 s after its start: pid 9, id 0bc4", kStart + 1s));
    CHECK(spell.fail("restarting", "it was killed by SIGKILL 0.3 s after its start", kStart + 2s));
    CHECK_FALSE(spell.fail("restarting", "it was killed by SIGKILL right after its start", kStart + 2s));
    CHECK(spell.fail("failed", "it exited with status 1 0.2 s after its start: pid 4711, id 7f3a", kStart + 3s));
}

TEST_CASE("a number that says what has happened makes another failure", "[core]") {
    FailureSpell spell{kStart};
    CHECK(spell.fail("restarting", "it exited with status 1 0.2 s after its start", kStart));
    CHECK(spell.fail("restarting", "it exited with status 137 0.2 s after its start", kStart + 1s));
    CHECK(spell.fail("failed", "it answered the handshake with status 404 instead of 200", kStart + 2s));
    CHECK(spell.fail("failed", "it answered the handshake with status 500 instead of 200", kStart + 3s));
    CHECK_FALSE(spell.fail("failed", "it answered the handshake with status 404 instead of 200", kStart + 4s));
}

TEST_CASE("what has moved is told of again, but not more often than anything else", "[core]") {
    FailureSpell spell{kStart};
    std::size_t told = 0;
    for (int i = 0; i < 100; ++i) {
        if (spell.fail("failed", "connection refused", kStart)) ++told;
        spell.move();
    }
    CHECK(told == FailureSpell::kAtOnce);
}

TEST_CASE("what is gone for a minute is forgotten, what comes back is not", "[core]") {
    FailureSpell spell{kStart};
    CHECK(spell.leave("x.sock is gone", kStart));
    CHECK_FALSE(spell.due(kStart + 59s));
    CHECK(spell.recover(kStart + 59s));
    CHECK_FALSE(spell.leave("x.sock is gone", kStart + 70s));
    const auto lasting = spell.due(kStart + 100s);
    REQUIRE(lasting);
    CHECK(lasting->times == 1);
    CHECK_FALSE(lasting->is_over);
    CHECK_FALSE(spell.due(kStart + 129s));
    const auto over = spell.due(kStart + 130s);
    REQUIRE(over);
    CHECK(over->is_over);
    CHECK(over->times == 0);
}

TEST_CASE("sums come after one, two, four minutes, and at last hourly", "[core]") {
    FailureSpell spell{kStart};
    REQUIRE(spell.fail("failed", "x", kStart));
    std::vector<std::chrono::minutes> sums;
    std::uint64_t times = 0;
    for (auto at = 1s; at <= 6h; at += 1s) {
        REQUIRE_FALSE(spell.fail("failed", "x", kStart + at));
        const auto sum = spell.due(kStart + at);
        if (!sum) continue;
        sums.push_back(std::chrono::duration_cast<std::chrono::minutes>(at));
        times += sum->times;
        CHECK_FALSE(sum->is_over);
    }
    CHECK(sums ==
          std::vector<std::chrono::minutes>{1min, 3min, 7min, 15min, 31min, 63min, 123min, 183min, 243min, 303min});
    CHECK(times == 303 * 60);
}

TEST_CASE("nothing is summed up where nothing has happened", "[core]") {
    FailureSpell spell{kStart};
    REQUIRE(spell.fail("failed", "x", kStart));
    for (auto at = 1s; at <= 1h; at += 1s) CHECK_FALSE(spell.due(kStart + at));
}

TEST_CASE("a plugin that comes and goes is told of once each, and the end of that once", "[core]") {
    FailureSpell spell{kStart};
    int told = 0;
    int summed = 0;
    for (auto at = 0s; at < 10min; at += 2s) {
        told += spell.fail("down", "it refused the connection", kStart + at) ? 1 : 0;
        told += spell.recover(kStart + at + 1s) ? 1 : 0;
        summed += spell.due(kStart + at + 1s) ? 1 : 0;
    }
    CHECK(told == 2);
    CHECK(summed == 3);
    const auto quiet = kStart + 10min + FailureSpell::kStable;
    const auto last = spell.due(quiet);
    REQUIRE(last);
    CHECK(last->is_over);
    CHECK(last->times > 0);
}

TEST_CASE("a plugin that goes down again and stays down is told of", "[core]") {
    FailureSpell spell{kStart};
    REQUIRE(spell.fail("down", "x", kStart));
    REQUIRE(spell.recover(kStart + 5s));
    CHECK_FALSE(spell.fail("down", "x", kStart + 10s));
    CHECK_FALSE(spell.due(kStart + 30s));
    const auto lasting = spell.due(kStart + 10s + FailureSpell::kLasting);
    REQUIRE(lasting);
    CHECK(lasting->times == 1);
    CHECK(spell.recover(kStart + 50s));  // which ends what was told last
}

TEST_CASE("a spell is over once the plugin has been well for a while", "[core]") {
    FailureSpell spell{kStart};
    REQUIRE(spell.fail("down", "x", kStart));
    REQUIRE(spell.recover(kStart + 5s));
    CHECK_FALSE(spell.due(kStart + 64s));
    const auto over = spell.due(kStart + 65s);
    REQUIRE(over);
    CHECK(over->is_over);
    CHECK(over->times == 0);
    CHECK(spell.lasted(kStart + 5s) == 5s);
}

TEST_CASE("a plugin that makes up reasons is summed up, too", "[core]") {
    FailureSpell spell{kStart};
    std::size_t told = 0;
    for (int i = 0; i < 1000; ++i) {
        const std::string reason(static_cast<std::size_t>(i) + 1, 'x');
        if (spell.fail("failed", reason, kStart + i * 50ms)) ++told;
    }
    CHECK(told == FailureSpell::kAtOnce);
    const auto sum = spell.due(kStart + 1min);
    REQUIRE(sum);
    CHECK(sum->times == 1000 - FailureSpell::kAtOnce);
    CHECK(spell.reason().size() == 512);
    CHECK(spell.fail("failed", "something else", kStart + 61s));
}

TEST_CASE("a reason that comes back after a while is told, in quick succession it is not", "[core]") {
    FailureSpell spell{kStart};
    REQUIRE(spell.fail("failed", "a", kStart));
    REQUIRE(spell.fail("failed", "b", kStart + 1s));
    for (auto at = 2s; at < 10min; at += 2s) {
        CHECK_FALSE(spell.fail("failed", "a", kStart + at));
        CHECK_FALSE(spell.fail("failed", "b", kStart + at + 1s));
    }
    CHECK(spell.fail("failed", "a", kStart + 10min + FailureSpell::kStable));
}
