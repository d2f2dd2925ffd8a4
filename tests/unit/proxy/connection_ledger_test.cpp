#include "daemon/proxy/connection_ledger.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <optional>

using namespace brokerd;

using State = ConnectionLedger::State;

namespace {

std::vector<int> resting(const UniqueFd& memory) {
    return ConnectionLedger::marked(memory, State::resting);
}

UniqueFd duplicate(int descriptor) {
    return UniqueFd{::dup(descriptor)};
}

}  // namespace

TEST_CASE("what rests is told by whoever has the memory, in order", "[proxy]") {
    const auto ledger = ConnectionLedger::make();
    REQUIRE(ledger);
    const UniqueFd memory = duplicate(ledger->memory());
    CHECK(resting(memory).empty());
    std::optional<ConnectionLedger::Mark> third;
    {
        ConnectionLedger::Mark first{ledger.get(), 0};
        ConnectionLedger::Mark second{ledger.get(), 70};
        third.emplace(ledger.get(), 900);
        CHECK(resting(memory) == std::vector<int>{0, 70, 900});
        second.set(State::unanswered);
        CHECK(ConnectionLedger::marked(memory, State::unanswered) == std::vector<int>{70});
        CHECK(resting(memory) == std::vector<int>{0, 900});
        second.set(State::resting);
        CHECK(resting(memory) == std::vector<int>{0, 70, 900});
    }
    CHECK(resting(memory) == std::vector<int>{900});
}

TEST_CASE("a connection that has ended marks nothing, whoever has its number now", "[proxy]") {
    const auto ledger = ConnectionLedger::make();
    REQUIRE(ledger);
    const UniqueFd memory = duplicate(ledger->memory());
    std::optional<ConnectionLedger::Mark> earlier{std::in_place, ledger.get(), 7};
    earlier->end();
    const ConnectionLedger::Mark later{ledger.get(), 7};
    earlier->set(State::resting);
    earlier.reset();
    CHECK(resting(memory) == std::vector<int>{7});
}

TEST_CASE("without a ledger, and beyond its end, nothing is marked", "[proxy]") {
    ConnectionLedger::Mark none{nullptr, 3};
    none.set(State::resting);
    const auto ledger = ConnectionLedger::make();
    REQUIRE(ledger);
    const ConnectionLedger::Mark beyond{ledger.get(), 1 << 30};
    const ConnectionLedger::Mark closed{ledger.get(), -1};
    CHECK(resting(duplicate(ledger->memory())).empty());
}

TEST_CASE("the marks of a process outlive it", "[proxy]") {
    const auto ledger = ConnectionLedger::make();
    REQUIRE(ledger);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ConnectionLedger::Mark resting{ledger.get(), 5};
        ConnectionLedger::Mark busy{ledger.get(), 6};
        busy.set(State::unknown);
        ::kill(::getpid(), SIGKILL);
    }
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    CHECK(resting(duplicate(ledger->memory())) == std::vector<int>{5});
}

TEST_CASE("what is no ledger tells nothing", "[proxy]") {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const UniqueFd from{ends[0]};
    const UniqueFd to{ends[1]};
    CHECK(resting(from).empty());
    CHECK(resting(UniqueFd{}).empty());
    CHECK(resting(UniqueFd{::memfd_create("empty", MFD_CLOEXEC)}).empty());
}
