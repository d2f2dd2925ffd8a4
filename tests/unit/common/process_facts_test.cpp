#include "common/os/process_facts.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <catch2/catch.hpp>

using namespace brokerd;

namespace {

constexpr pid_t kNobody = 0x3fffffff;  // above any pid_max

}  // namespace

TEST_CASE("a process is known by when it started", "[common]") {
    const auto start = process_start(::getpid());
    REQUIRE(start);
    CHECK(*start <= ticks_since_boot());
    CHECK(process_start(::getpid()) == start);
    REQUIRE(process_start(1));
    CHECK(*process_start(1) <= *start);
    CHECK_FALSE(process_start(kNobody));
}

TEST_CASE("a process names itself, and nothing else", "[common]") {
    const std::string before = process_name(::getpid());
    ::prctl(PR_SET_NAME, ") 1 (\n\x1b[2J");
    CHECK(process_name(::getpid()) == ") 1 (\\x0a\\x1b[2J");
    CHECK(process_start(::getpid()));
    ::prctl(PR_SET_NAME, before.c_str());
    CHECK(process_name(kNobody).empty());
    CHECK(process_label(12, "dockerd") == "dockerd (pid 12)");
    CHECK(process_label(12, "") == "a process (pid 12)");
}
