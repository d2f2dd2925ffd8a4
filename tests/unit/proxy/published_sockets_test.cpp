#include "daemon/proxy/published_sockets.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/unit/loop/loop_fixture.h"

using namespace brokerd;
using test::TemporaryDirectory;
namespace fs = std::filesystem;

namespace {

PluginName name(const std::string& text) {
    return *PluginName::parse(text);
}

bool can_connect(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

UniqueFd bind_foreign(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(socket.get(), 1) == 0);
    return socket;
}

struct stat status_of(const std::string& path) {
    struct stat status {};
    REQUIRE(::lstat(path.c_str(), &status) == 0);
    return status;
}

struct Fixture {
    TemporaryDirectory directory;
    std::string runtime = directory.path() + "/r";
    std::string engine = directory.path() + "/e";
    PublishedSockets open() { return PublishedSockets{runtime, engine, std::nullopt}; }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a published plugin is one socket under two names", "[proxy]") {
    PublishedSockets sockets = open();
    const auto published = sockets.publish(name("vieux/sshfs:latest"), true);
    REQUIRE(published);
    CHECK(published->paths ==
          std::vector<std::string>{runtime + "/plugins/vieux/sshfs:latest.sock", engine + "/vieux/sshfs:latest.sock"});
    CHECK(can_connect(published->paths[0]));
    CHECK(can_connect(published->paths[1]));
    CHECK(sockets.is_ours(status_of(published->paths[1])));
    sockets.withdraw(name("vieux/sshfs:latest"));
    CHECK(fs::is_empty(engine));
    CHECK(fs::is_empty(runtime + "/plugins"));
}

TEST_CASE_METHOD(Fixture, "a socket that is not brokerd's is never touched", "[proxy]") {
    fs::create_directories(engine);
    const UniqueFd foreign = bind_foreign(engine + "/x.sock");
    const auto before = status_of(engine + "/x.sock").st_ino;
    PublishedSockets sockets = open();
    const auto published = sockets.publish(name("x"), true);
    REQUIRE(published);
    CHECK(published->paths.size() == 1);
    CHECK(published->warning.find("not brokerd's") != std::string::npos);
    CHECK_FALSE(sockets.is_ours(status_of(engine + "/x.sock")));
    sockets.withdraw(name("x"));
    sockets.remove_leftovers();
    CHECK(status_of(engine + "/x.sock").st_ino == before);
}

TEST_CASE_METHOD(Fixture, "a plugin that takes over its published name keeps it", "[proxy]") {
    PublishedSockets sockets = open();
    const auto published = sockets.publish(name("x"), true);
    fs::remove(engine + "/x.sock");
    const UniqueFd foreign = bind_foreign(engine + "/x.sock");
    sockets.withdraw(name("x"));
    CHECK(can_connect(engine + "/x.sock"));
}

TEST_CASE_METHOD(Fixture, "what a killed brokerd left is known as ours, replaced, and removed where nobody wants it",
                 "[proxy]") {
    {
        PublishedSockets killed = open();
        for (const char* plugin : {"stays", "goes", "deep/goes"}) REQUIRE(killed.publish(name(plugin), true));
    }
    const auto old_inode = status_of(engine + "/stays.sock").st_ino;
    PublishedSockets sockets = open();
    CHECK(sockets.is_ours(status_of(engine + "/stays.sock")));
    const auto published = sockets.publish(name("stays"), true);
    REQUIRE(published);
    CHECK(published->paths.size() == 2);
    CHECK(can_connect(engine + "/stays.sock"));
    CHECK(status_of(engine + "/stays.sock").st_ino != old_inode);
    sockets.remove_leftovers();
    CHECK_FALSE(fs::exists(engine + "/goes.sock"));
    CHECK_FALSE(fs::exists(engine + "/deep"));
    CHECK(std::distance(fs::directory_iterator{runtime + "/plugins"}, {}) == 1);
    CHECK(can_connect(engine + "/stays.sock"));
}

TEST_CASE_METHOD(Fixture, "a name too long for a socket path is refused with what to do", "[proxy]") {
    PublishedSockets sockets = open();
    const auto published = sockets.publish(name(std::string(120, 'x')), true);
    REQUIRE_FALSE(published);
    CHECK(published.error().message.find("--runtime-root") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "sockets published after a crash stay, whatever inode numbers the old ones free", "[proxy]") {
    const std::vector<std::string> names{"a", "b", "c", "d", "e"};
    for (int life = 0; life < 3; ++life) {
        PublishedSockets sockets = open();
        for (const std::string& plugin : names) REQUIRE(sockets.publish(name(plugin), true));
        sockets.remove_leftovers();
        for (const std::string& plugin : names) CHECK(fs::is_socket(engine + "/" + plugin + ".sock"));
    }
}

TEST_CASE_METHOD(Fixture, "a socket of an earlier life is not left to engines when they are not to see it", "[proxy]") {
    {
        PublishedSockets killed = open();
        REQUIRE(killed.publish(name("x"), true));
    }
    PublishedSockets sockets = open();
    REQUIRE(sockets.publish(name("x"), false));
    CHECK_FALSE(fs::exists(engine + "/x.sock"));
}

TEST_CASE_METHOD(Fixture, "two brokers cannot share a runtime directory", "[proxy]") {
    const PublishedSockets first = open();
    CHECK_THROWS_WITH(open(), Catch::Contains("another brokerd") && Catch::Contains("--runtime-root"));
}

TEST_CASE_METHOD(Fixture, "a removed name is restored, a taken one is left alone", "[proxy]") {
    PublishedSockets sockets = open();
    const auto published = sockets.publish(name("x"), true);
    fs::remove(engine + "/x.sock");
    CHECK(sockets.restore(name("x")));
    CHECK(can_connect(engine + "/x.sock"));
    CHECK_FALSE(sockets.restore(name("x")));
    fs::remove(engine + "/x.sock");
    const UniqueFd foreign = bind_foreign(engine + "/x.sock");
    CHECK_FALSE(sockets.restore(name("x")));
    CHECK_FALSE(sockets.is_ours(status_of(engine + "/x.sock")));
}

TEST_CASE_METHOD(Fixture, "a name that is the beginning of another's path takes nothing away", "[proxy]") {
    PublishedSockets sockets = open();
    const auto deep = sockets.publish(name("a.sock/b"), true);
    REQUIRE(deep);
    CHECK_FALSE(sockets.publish(name("a"), true));
    CHECK(can_connect(deep->paths[0]));
    CHECK(can_connect(deep->paths[1]));
}
