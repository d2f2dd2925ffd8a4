// These tests mount, so they have a mount namespace of their own: nothing of it is ever seen on the host.
#define CATCH_CONFIG_RUNNER
#include <sched.h>
#include <sys/mount.h>

#include <catch2/catch.hpp>

#include "tests/unit/runtime/host_fixture.h"

int main(int argc, char** argv) {
    brokerd::test::has_own_mounts() =
        unshare(CLONE_NEWNS) == 0 && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    return Catch::Session().run(argc, argv);
}
