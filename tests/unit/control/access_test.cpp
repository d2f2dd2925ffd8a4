#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "common/os/system_error.h"
#include "daemon/control/control_socket.h"
#include "daemon/control/peer_credentials.h"
#include "tests/unit/control/control_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
using namespace std::chrono_literals;

TEST_CASE("root, brokerd's own user and the group may control it, nobody else", "[control]") {
    const PeerPolicy policy{500, 900};
    CHECK(policy.allows({0, 0, {}}));
    CHECK(policy.allows({500, 500, {}}));
    CHECK(policy.allows({1000, 900, {}}));
    CHECK(policy.allows({1000, 1000, {27, 900}}));
    CHECK_FALSE(policy.allows({1000, 1000, {27, 100}}));
    CHECK_FALSE(policy.allows({1000, 1000, {0}}));
    const PeerPolicy no_group{0, std::nullopt};
    CHECK(no_group.allows({0, 0, {}}));
    CHECK_FALSE(no_group.allows({1000, 0, {0, 900}}));
}

TEST_CASE("the kernel tells who is at the other end", "[control]") {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    const UniqueFd here{pair[0]}, there{pair[1]};
    const PeerCredentials peer = peer_credentials(here.get());
    CHECK(peer.uid == ::geteuid());
    CHECK(peer.gid == ::getegid());
    std::vector<gid_t> groups(static_cast<std::size_t>(std::max(0, ::getgroups(0, nullptr))));
    if (!groups.empty()) REQUIRE(::getgroups(static_cast<int>(groups.size()), groups.data()) >= 0);
    CHECK(peer.groups == groups);
    CHECK((PeerCredentials{1000, 1000, {1000, 27}}.describe() == "user 1000 (groups 1000, 27)"));
    CHECK(group_name(0) == "root");
    CHECK(group_name(4'000'000'000) == "4000000000");
}

namespace {

/// GET /_ping as another user. Of the C library's calls, which change the whole process, none is used.
Reply ping_as(const std::string& path, uid_t user, std::vector<gid_t> groups) {
    return std::async(std::launch::async,
                      [&] {
                          constexpr unsigned kNobody = 65534;
                          if (::syscall(SYS_setgroups, groups.size(), groups.data()) != 0) throw_errno("setgroups");
                          if (::syscall(SYS_setresgid, kNobody, kNobody, kNobody) != 0) throw_errno("setresgid");
                          if (::syscall(SYS_setresuid, user, user, user) != 0) throw_errno("setresuid");
                          return Client{path}.get("/_ping");
                      })
        .get();
}

}  // namespace

TEST_CASE("a peer outside the group gets 403 with the group's name", "[control]") {
    if (::geteuid() != 0) {
        WARN("skipped: only root can become another user");
        return;
    }
    constexpr uid_t kStranger = 65533;
    constexpr gid_t kGroup = 65532;
    ControlServer::Settings settings;
    settings.peers.allowed_group = kGroup;
    ControlFixture broker{settings};
    // The mode of the file is the first fence; here the second one is tested.
    std::filesystem::permissions(std::filesystem::path{broker.path}.parent_path(), std::filesystem::perms{0755});
    std::filesystem::permissions(broker.path, std::filesystem::perms{0666});
    const Reply refused = ping_as(broker.path, kStranger, {27});
    CHECK(refused.status == 403);
    CHECK(refused.message() ==
          "user 65533 (groups 65534, 27) may not control brokerd: become root or a member of the group 65532");
    CHECK(ping_as(broker.path, kStranger, {27, kGroup}).status == 200);
    CHECK(ping_as(broker.path, 0, {}).status == 200);
}

TEST_CASE("a new control socket is for its owner, or for the group", "[control]") {
    const SocketDirectory directory;
    const std::string path = directory.path("c.sock");
    struct stat status {};
    const mode_t old_mask = ::umask(0);
    {
        const auto socket = bind_control_socket(path, std::nullopt);
        REQUIRE(socket);
        REQUIRE(::stat(path.c_str(), &status) == 0);
        CHECK((status.st_mode & 07777) == 0600);
    }
    ::umask(0777);
    const auto socket = bind_control_socket(path, ::getegid());  // replaces the one that nobody listens on now
    ::umask(old_mask);
    REQUIRE(socket);
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0660);
    CHECK(status.st_gid == ::getegid());
}

TEST_CASE("what is in the way of the control socket is left alone", "[control]") {
    const SocketDirectory directory;
    const auto first = bind_control_socket(directory.path("c.sock"), std::nullopt);
    REQUIRE(first);
    const auto second = bind_control_socket(directory.path("c.sock"), std::nullopt);
    REQUIRE_FALSE(second);
    CHECK(second.error().message.find("somebody answers on") != std::string::npos);
    { const Client still_there{directory.path("c.sock")}; }

    std::ofstream{directory.path("file")} << "precious";
    const auto file = bind_control_socket(directory.path("file"), std::nullopt);
    REQUIRE_FALSE(file);
    CHECK(file.error().message.find("is not a socket") != std::string::npos);
    CHECK(std::filesystem::file_size(directory.path("file")) == 8);

    CHECK_FALSE(bind_control_socket(directory.path("absent/c.sock"), std::nullopt));
    CHECK_FALSE(bind_control_socket(directory.path(std::string(200, 'x')), std::nullopt));
    CHECK_FALSE(bind_control_socket("", std::nullopt));
    ActivatedDescriptors none;
    CHECK_FALSE(take_activated_socket(none, directory.path("c.sock")));
}

TEST_CASE("shutting down closes watchers and idle connections, not the listening socket", "[control]") {
    const SocketDirectory directory;
    const std::string path = directory.path("c.sock");
    auto socket = bind_control_socket(path, std::nullopt);
    REQUIRE(socket);
    const UniqueFd systemds{::dup(socket->get())};

    CoreLoop loop;
    FakeCore core{loop};
    const TestOperations operations{directory.path("state")};
    ControlServer::Settings settings;
    settings.peers.own_uid = ::geteuid();
    std::optional<ControlServer> server{std::in_place, loop, core, operations.rooms(), std::move(*socket), settings};
    std::thread thread{[&] { loop.run(); }};
    Client idle{path}, watcher{path}, half{path}, waiting{path};
    CHECK(idle.get("/_ping").status == 200);
    watcher.send("GET /broker/v1/events HTTP/1.1\r\n\r\n");
    (void)watcher.receive_head();
    half.send("GET /_pi");
    loop.call([&] { core.add(plugin("late", "activating")); }).get();
    waiting.send("GET /broker/v1/plugins/late?timeout=300 HTTP/1.1\r\n\r\n");
    REQUIRE(eventually([&] { return loop.call([&] { return core.timeouts.size() == 1; }).get(); }));
    loop.post([&] { loop.stop(0); });
    thread.join();
    server.reset();
    for (Client* client : {&idle, &watcher, &half, &waiting}) CHECK(client->receive_end());

    // systemd's copy still listens: whoever connects now is served by the next brokerd.
    Client early{path};
    early.send("GET /_ping HTTP/1.1\r\n\r\n");
    server.emplace(loop, core, operations.rooms(), UniqueFd{::dup(systemds.get())}, settings);
    CHECK(early.receive().status == 200);
}

TEST_CASE("answers that come after the server's end are dropped", "[control]") {
    ControlFixture broker;
    broker.add(plugin("late", "activating"));
    Client client = broker.connect();
    client.send("GET /broker/v1/plugins/late?timeout=300 HTTP/1.1\r\n\r\n");
    REQUIRE(eventually([&] { return broker.on_loop([&] { return broker.core.timeouts.size() == 1; }); }));
    broker.on_loop([&] {
        broker.server.reset();  // on the loop's thread, with a request in flight
        broker.core.settle("late");
        broker.core.events().publish(event("active", "late"));
    });
    CHECK(client.receive_end());
}
