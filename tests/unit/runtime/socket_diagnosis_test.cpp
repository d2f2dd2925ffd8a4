#include "daemon/runtime/socket_diagnosis.h"

#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/unit/loop/loop_fixture.h"

using namespace brokerd;
using namespace brokerd::test;

TEST_CASE("a socket by another name is what a plugin is told of", "[runtime]") {
    const TemporaryDirectory exec;
    CHECK(why_not_listening(getpid(), exec.path(), "x.sock", "") ==
          "it runs, but does not listen at /run/docker/plugins/x.sock");
    make_socket(exec / "other.sock");
    CHECK(why_not_listening(getpid(), exec.path(), "x.sock", "") ==
          "it listens at /run/docker/plugins/other.sock, but its config says that interface.socket is x.sock");
}

TEST_CASE("a socket that nobody answers is told", "[runtime]") {
    const TemporaryDirectory exec;
    make_socket(exec / "x.sock");
    CHECK(why_not_listening(getpid(), exec.path(), "x.sock", "") ==
          "it runs and has made /run/docker/plugins/x.sock, but does not answer there");
    CHECK(why_not_listening(getpid(), exec.path(), "x.sock", "Connection refused") ==
          "it runs and has made /run/docker/plugins/x.sock, but does not answer there: Connection refused");
}

TEST_CASE("a plugin that listens elsewhere is found out", "[runtime]") {
    const TemporaryDirectory exec;
    const UniqueFd listener{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = exec / "else.sock";
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const void* const generic = &address;
    REQUIRE(bind(listener.get(), static_cast<const sockaddr*>(generic), sizeof address) == 0);
    const TemporaryDirectory empty;
    CHECK(why_not_listening(getpid(), empty.path(), "x.sock", "").starts_with("it runs, but does not listen"));
    REQUIRE(listen(listener.get(), 1) == 0);
    CHECK(why_not_listening(getpid(), empty.path(), "x.sock", "") ==
          "it listens at " + exec.path() + "/else.sock, but its config says that interface.socket is x.sock");
}
