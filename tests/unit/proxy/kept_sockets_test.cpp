#include "daemon/proxy/kept_sockets.h"

#include <fcntl.h>
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "daemon/proxy/published_sockets.h"
#include "tests/unit/proxy/proxy_fixture.h"

using namespace brokerd;
using test::Peer;
namespace fs = std::filesystem;

namespace {

PluginName name(const std::string& text) {
    return *PluginName::parse(text);
}

/// systemd's end: a notify socket, and the store behind it.
class Systemd {
public:
    explicit Systemd(const std::string& path) {
        const sockaddr_un address = test::unix_address(path);
        REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
    }
    ~Systemd() { ::unsetenv("NOTIFY_SOCKET"); }

    /// What is handed over at the next start: the store, which keeps it.
    ActivatedDescriptors start() {
        receive();
        std::vector<ActivatedDescriptors::Descriptor> given;
        for (const auto& [store_name, fd] : store)
            given.push_back({store_name, UniqueFd{::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)}});
        return ActivatedDescriptors{std::move(given)};
    }

    void receive() {
        for (;;) {
            char text[4096];
            alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
            iovec part{text, sizeof text};
            msghdr message{};
            message.msg_iov = &part;
            message.msg_iovlen = 1;
            message.msg_control = control;
            message.msg_controllen = sizeof control;
            const ssize_t count = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
            if (count < 0) return;
            const std::string told{text, static_cast<std::size_t>(count)};
            const std::size_t at = told.find("FDNAME=");
            if (at == std::string::npos) continue;
            const std::string store_name = told.substr(at + 7, told.find('\n', at) - at - 7);
            if (told.starts_with("FDSTOREREMOVE=1")) store.erase(store_name);
            if (!told.starts_with("FDSTORE=1")) continue;
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
            store.emplace(store_name, UniqueFd{fd});
        }
    }

    std::multimap<std::string, UniqueFd> store;

private:
    UniqueFd socket_{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
};

struct Fixture {
    test::TemporaryDirectory directory;
    std::string runtime = directory / "r";
    std::string engine = directory / "e";
    Systemd systemd{directory / "notify"};

    PublishedSockets open() {
        ActivatedDescriptors activated = systemd.start();
        return PublishedSockets{runtime, engine, std::nullopt, KeptSockets{activated}};
    }
    [[nodiscard]] ino_t inode(const std::string& plugin) const {
        struct stat status {};
        REQUIRE(::lstat((engine + "/" + plugin + ".sock").c_str(), &status) == 0);
        return status.st_ino;
    }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a published socket, and who waits at it, outlive the process", "[proxy]") {
    for (const bool for_engines : {true, false}) {
        const PluginName plugin = name(for_engines ? "vieux/sshfs:latest" : "own");
        { REQUIRE(open().publish(plugin, for_engines)); }
        const std::string path = runtime + "/plugins/" + plugin.str() + ".sock";
        Peer waiting = Peer::connect(path);
        PublishedSockets sockets = open();
        const auto again = sockets.publish(plugin, for_engines);
        REQUIRE(again);
        CHECK(again->paths.size() == (for_engines ? 2 : 1));
        CHECK(again->paths.front() == path);
        CHECK(again->warning.empty());
        Peer accepted = Peer::accept(again->listener);
        REQUIRE(waiting.send("hello"));
        CHECK(accepted.read(5) == "hello");
        CHECK_FALSE(fs::exists(engine + "/.brokerd-new"));
        sockets.remove_leftovers();
        CHECK(fs::exists(path));
        systemd.receive();
        CHECK(systemd.store.size() == 1);
        sockets.withdraw(plugin);
        systemd.receive();
        CHECK(systemd.store.empty());
        CHECK_FALSE(fs::exists(path));
    }
}

TEST_CASE_METHOD(Fixture, "the engine's name of a kept socket is made again, or removed, as is asked for", "[proxy]") {
    { REQUIRE(open().publish(name("x"), true)); }
    const ino_t before = inode("x");
    fs::remove(engine + "/x.sock");
    { REQUIRE(open().publish(name("x"), true)); }
    CHECK(inode("x") == before);
    PublishedSockets sockets = open();
    REQUIRE(sockets.publish(name("x"), false));
    CHECK_FALSE(fs::exists(engine + "/x.sock"));
}

TEST_CASE_METHOD(Fixture, "what nobody publishes again is closed, and leaves the store", "[proxy]") {
    {
        PublishedSockets first = open();
        for (const char* plugin : {"stays", "goes"}) REQUIRE(first.publish(name(plugin), true));
    }
    PublishedSockets sockets = open();
    REQUIRE(sockets.publish(name("stays"), true));
    sockets.remove_leftovers();
    systemd.receive();
    REQUIRE(systemd.store.size() == 1);
    CHECK(systemd.store.begin()->first.ends_with("/stays"));
    CHECK_FALSE(fs::exists(engine + "/goes.sock"));
}

TEST_CASE_METHOD(Fixture, "a kept socket whose file was removed or replaced is not gone on with", "[proxy]") {
    { REQUIRE(open().publish(name("x"), true)); }
    const std::string path = runtime + "/plugins/x.sock";
    const bool replaced = GENERATE(false, true);
    fs::remove(path);
    UniqueFd other;
    if (replaced) other = test::listen_at(path);
    PublishedSockets sockets = open();
    const auto published = sockets.publish(name("x"), true);
    REQUIRE(published);
    Peer client = Peer::connect(path);
    Peer accepted = Peer::accept(published->listener);
    REQUIRE(client.send("hello"));
    CHECK(accepted.read(5) == "hello");
    systemd.receive();
    CHECK(systemd.store.size() == 1);
}

TEST_CASE_METHOD(Fixture, "what engines see of a kept socket is ours, also where our own name of it has gone",
                 "[proxy]") {
    {
        PublishedSockets first = open();
        for (const char* plugin : {"stays", "goes"}) REQUIRE(first.publish(name(plugin), true));
    }
    for (const char* plugin : {"stays", "goes"}) fs::remove(runtime + "/plugins/" + plugin + ".sock");
    struct stat status {};
    REQUIRE(::lstat((engine + "/stays.sock").c_str(), &status) == 0);
    PublishedSockets sockets = open();
    CHECK(sockets.is_ours(status));
    const auto published = sockets.publish(name("stays"), true);
    REQUIRE(published);
    CHECK(published->paths.size() == 2);
    Peer client = Peer::connect(engine + "/stays.sock");
    Peer accepted = Peer::accept(published->listener);
    sockets.remove_leftovers();
    CHECK(fs::exists(engine + "/stays.sock"));
    CHECK_FALSE(fs::exists(engine + "/goes.sock"));
}

TEST_CASE_METHOD(Fixture, "what is no published socket is neither used nor kept", "[proxy]") {
    { REQUIRE(open().publish(name("x"), true)); }
    systemd.receive();
    REQUIRE(systemd.store.size() == 1);
    const std::string store_name = systemd.store.begin()->first;
    const std::string path = runtime + "/plugins/x.sock";
    systemd.store.clear();
    const auto add = [&](const std::string& as, UniqueFd fd) { systemd.store.emplace(as, std::move(fd)); };
    add(store_name, UniqueFd{::open("/dev/null", O_RDWR | O_CLOEXEC)});
    add(store_name, UniqueFd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)});
    add(store_name, UniqueFd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)});
    add(store_name, test::listen_at(directory / "elsewhere.sock"));
    for (const char* bad : {"published/", "published/1-2", "published/x-y/z", "published/1-2/../etc", "published/1-2/",
                            "published/99999999999999999999-1/x"})
        add(bad, UniqueFd{::open("/dev/null", O_RDWR | O_CLOEXEC)});
    add("somebody's", UniqueFd{::open("/dev/null", O_RDWR | O_CLOEXEC)});
    PublishedSockets sockets = open();
    const auto published = sockets.publish(name("x"), true);
    REQUIRE(published);
    Peer client = Peer::connect(path);
    Peer accepted = Peer::accept(published->listener);
    sockets.remove_leftovers();
    systemd.receive();
    CHECK(systemd.store.size() == 2);
    CHECK(systemd.store.count("somebody's") == 1);
}

TEST_CASE("a name in the store can be told from every other, and fits", "[proxy]") {
    struct stat file {};
    file.st_dev = 0x2a;
    file.st_ino = 0xbeef;
    CHECK(KeptSockets::store_name(name("vieux/sshfs:latest"), file) == "published/2a-beef/vieux/sshfs%latest");
    CHECK_FALSE(KeptSockets::store_name(name(std::string(250, 'x')), file));
}
