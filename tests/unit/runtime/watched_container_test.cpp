#include "daemon/runtime/watched_container.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <optional>

#include "daemon/runtime/child_process.h"
#include "daemon/runtime/watched_process.h"
#include "tests/unit/loop/loop_fixture.h"
#include "tests/unit/no_more_descriptors.h"

using namespace brokerd;
using namespace brokerd::test;

namespace {

ChildProcess make_process() {
    const auto catchs = std::signal(SIGTERM, SIG_DFL);
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) ::pause();
    }
    std::signal(SIGTERM, catchs);
    return ChildProcess{pid};
}

/// A shim and a plugin that only wait, and what becomes of them.
struct Fixture {
    CoreLoop loop;
    ChildProcess shim = make_process();
    ChildProcess plugin = make_process();
    int finished = 0;
    int killed = 0;

    std::unique_ptr<WatchedContainer> watch() {
        RunningContainer container;
        container.shim = UniqueFd{static_cast<int>(::syscall(SYS_pidfd_open, shim.pid(), 0U))};
        container.process = process_identity(plugin.pid()).value_or(ProcessIdentity{});
        std::optional<NoMoreDescriptors> none{std::in_place};
        auto watched = std::make_unique<WatchedContainer>(
            loop, std::move(container), [this](auto, auto) { ++finished; }, [this] { ++killed; }, [](PluginExit) {},
            std::chrono::milliseconds{20});
        watched->terminate();
        return watched;
    }
};

}  // namespace

TEST_CASE("a plugin that cannot be followed at first is followed and signalled later", "[runtime]") {
    Fixture f;
    const auto watched = f.watch();
    CHECK_FALSE(has_ended(f.plugin.pidfd()));
    watched->terminate();  // now there is a descriptor
    CHECK(wait_for_end(f.plugin.pidfd(), std::chrono::seconds{60}));
    REQUIRE(run_until(f.loop, [&] { return f.finished == 1; }));
    watched->kill();
    CHECK(f.killed == 0);  // it has ended
}

TEST_CASE("a plugin that cannot be followed at first is tried again", "[runtime]") {
    Fixture f;
    const auto watched = f.watch();
    f.plugin.kill();
    REQUIRE(wait_for_end(f.plugin.pidfd(), std::chrono::seconds{60}));
    // What is found out then makes it wait for the shim, which goes on for longer than it may.
    REQUIRE(run_until(f.loop, [&] { return f.finished == 1; }));
    CHECK_FALSE(has_ended(f.shim.pidfd()));
}

TEST_CASE("a plugin that cannot be killed is left to the end of its shim", "[runtime]") {
    Fixture f;
    const auto watched = f.watch();
    {
        const NoMoreDescriptors none;
        watched->kill();
    }
    CHECK(f.killed == 1);
    REQUIRE(run_until(f.loop, [&] { return f.finished == 1; }));
    CHECK_FALSE(has_ended(f.plugin.pidfd()));
}
