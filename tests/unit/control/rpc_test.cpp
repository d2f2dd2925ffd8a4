#include <sys/un.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "daemon/control/control_socket.h"
#include "daemon/control/plugin_call.h"
#include "daemon/control/worker_pool.h"
#include "tests/unit/control/control_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
using namespace std::chrono_literals;

namespace {

/// A plugin's end of the published socket: hears one request, says what it was told to say.
class Peer {
public:
    explicit Peer(const std::string& path) : listener_{std::move(*bind_control_socket(path, std::nullopt))} {}
    ~Peer() {
        if (thread_.joinable()) thread_.join();
    }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    void answer_once(std::string bytes) {
        if (thread_.joinable()) thread_.join();
        thread_ = std::thread{[this, bytes = std::move(bytes)] { serve(bytes); }};
    }
    [[nodiscard]] std::string heard() {
        thread_.join();
        return heard_;
    }

private:
    void serve(const std::string& bytes) {
        UniqueFd connection;
        // Catch2's macros belong to the test's own thread.
        const bool connected = eventually([&] {
            connection.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            return static_cast<bool>(connection);
        });
        if (!connected) return;
        heard_.clear();
        std::array<char, 4096> buffer;
        while (heard_.find("\r\n\r\n") == heard_.npos || !heard_.ends_with("}")) {
            const ssize_t count = ::recv(connection.get(), buffer.data(), buffer.size(), 0);
            if (count <= 0) break;
            heard_.append(buffer.data(), static_cast<std::size_t>(count));
        }
        std::string_view left = bytes;
        while (!left.empty()) {
            const ssize_t count = ::send(connection.get(), left.data(), left.size(), MSG_NOSIGNAL);
            if (count <= 0) break;
            left.remove_prefix(static_cast<std::size_t>(count));
        }
    }

    UniqueFd listener_;
    std::thread thread_;
    std::string heard_;
};

PluginView published(const std::string& name, const std::string& path) {
    PluginView view = plugin(name, "active", {"VolumeDriver"});
    view.published = {path};
    return view;
}

}  // namespace

TEST_CASE("a call goes to the published socket and its answer comes back", "[control]") {
    ControlFixture broker;
    const std::string path = broker.directory.path("p.sock");
    Peer peer{path};
    broker.add(published("vieux/sshfs", path));
    Client client = broker.connect();
    peer.answer_once(
        "HTTP/1.1 418 Odd\r\nContent-Type: text/odd\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    const Reply reply = client.post("/broker/v1/plugins/vieux/sshfs/rpc/VolumeDriver.Create", R"({"Name":"v"})");
    CHECK(reply.status == 418);
    CHECK(reply.body == "abc");
    CHECK(reply.head.find("\r\nContent-Type: text/odd\r\n") != reply.head.npos);
    const std::string heard = peer.heard();
    CHECK(heard.starts_with("POST /VolumeDriver.Create HTTP/1.1\r\n"));
    CHECK(heard.find("\r\nContent-Length: 12\r\n") != heard.npos);
    CHECK(heard.ends_with("\r\n\r\n{\"Name\":\"v\"}"));
}

TEST_CASE("answers of every framing are understood, broken ones become 502", "[control]") {
    ControlFixture broker;
    const std::string path = broker.directory.path("p.sock");
    Peer peer{path};
    broker.add(published("p", path));
    Client client = broker.connect();
    const auto call = [&](std::string answer) {
        peer.answer_once(std::move(answer));
        return client.post("/broker/v1/plugins/p/rpc/Plugin.Activate", "{}");
    };
    CHECK(call("HTTP/1.0 200 OK\r\n\r\nuntil the end").body == "until the end");
    CHECK(call("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").body == "ok");
    CHECK(call("HTTP/1.1 204 No Content\r\n\r\n").status == 204);
    for (const char* broken :
         {"", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\n"}) {
        INFO(broken);
        const Reply reply = call(broken);
        CHECK(reply.status == 502);
        CHECK(reply.message().starts_with("calling Plugin.Activate of plugin p failed: "));
    }
    CHECK(call("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n").status == 502);
}

TEST_CASE("what cpp-httplib would take from a plugin, and brokerd does not", "[control]") {
    const SocketDirectory directory;
    const std::string path = directory.path("p.sock");
    Peer peer{path};
    const auto error_of = [&](std::string answer) {
        peer.answer_once(std::move(answer));
        const auto reply = perform({path, "VolumeDriver.List", "{}", ""}, kPatience, -1);
        return reply ? "answered: " + reply->body : reply.error().message;
    };
    const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    CHECK(error_of(chunked + "0\r\n\r\n") == "answered: ");
    CHECK(error_of(chunked + "3\r\nabc\r") == "a chunk of its answer is not valid");
    CHECK(error_of(chunked + "3\r\nabcdef\r\n0\r\n\r\n") == "a chunk of its answer is not valid");
    CHECK(error_of(chunked + "3\r\nabc\r\n") == "the connection ended before the answer did");
    // A reason of 30,000 bytes lets std::regex overflow the stack.
    CHECK(error_of("HTTP/1.1 200 " + std::string(8'000, 'a') + "\r\nContent-Length: 2\r\n\r\nok") == "answered: ok");
    const std::string large_head = "the head of its answer is too large";
    CHECK(error_of("HTTP/1.1 200 " + std::string(30'000, 'a') + "\r\nContent-Length: 0\r\n\r\n") == large_head);
    CHECK(error_of("HTTP/1.1 100 A\r\n\r\nHTTP/1.1 200 " + std::string(30'000, 'a') + "\r\n\r\n") == large_head);
    std::string fields = "HTTP/1.1 200 OK\r\n";
    for (int i = 0; i < 20'000; ++i) fields += "a: b\r\n";
    CHECK(error_of(fields + "\r\n") == large_head);
    CHECK(error_of(chunked + "1000000\r\n" + std::string(0x1000000, 'a') + "\r\n0\r\n\r\n") ==
          "its answer is too large");
    // A line end in the value would be one in brokerd's own answer.
    for (const char* start : {"HTTP/1.1 200 OK\r\n", "HTTP/1.1 204 No Content\r\n"}) {
        CHECK(error_of(start + std::string{"Content-Type: a%0d%0aX: b\r\nContent-Length: 0\r\n\r\n"}) ==
              "its answer is not valid");
    }
    CHECK(error_of("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n") == "its answer is not valid");
    CHECK(error_of("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nraw") == "answered: raw");
    CHECK(error_of("HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 2\r\n\r\nok") == "answered: ok");
}

TEST_CASE("a plugin that answers without hearing the whole request is heard", "[control]") {
    const SocketDirectory directory;
    const std::string path = directory.path("p.sock");
    Peer peer{path};
    peer.answer_once("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    const auto reply = perform({path, "VolumeDriver.List", std::string(8'000'000, '}'), ""}, kPatience, -1);
    REQUIRE(reply);
    CHECK(reply->status == 413);
    CHECK(reply->body == "no");
}

TEST_CASE("calls that cannot be made are refused with the reason", "[control]") {
    ControlFixture broker;
    broker.add(plugin("hidden", "invalid"));
    broker.add(published("dead", broker.directory.path("nobody.sock")));
    Client client = broker.connect();
    CHECK(client.post("/broker/v1/plugins/absent/rpc/VolumeDriver.List").status == 404);
    CHECK(client.post("/broker/v1/plugins/hidden/rpc/VolumeDriver.List").status == 503);
    const Reply dead = client.post("/broker/v1/plugins/dead/rpc/VolumeDriver.List");
    CHECK(dead.status == 502);
    CHECK(dead.message().find("No such file or directory") != std::string::npos);
    for (const char* method : {"VolumeDriver", ".List", "VolumeDriver.", "A.B%20C", "A.B%3f", "A.B%2fC"}) {
        INFO(method);
        CHECK(client.post(std::string{"/broker/v1/plugins/dead/rpc/"} + method).status == 400);
    }
}

TEST_CASE("a call ends at its deadline, and at once when it is cancelled", "[control]") {
    const SocketDirectory directory;
    const Peer silent{directory.path("s.sock")};
    const PluginCall call{directory.path("s.sock"), "VolumeDriver.List", "{}", ""};
    const auto late = perform(call, 50ms, -1);
    REQUIRE_FALSE(late);
    CHECK(late.error().message.starts_with("no answer within"));

    std::promise<std::string> outcome;
    {
        WorkerPool pool{2, 10s};
        std::promise<void> running;
        pool.submit([&](int cancelled) {
            running.set_value();
            outcome.set_value(perform(call, 3'600s, cancelled).error().message);
        });
        running.get_future().wait();
    }
    CHECK(outcome.get_future().get() == "brokerd is shutting down");
}

TEST_CASE("worker threads come on demand, are bounded, and go", "[control]") {
    WorkerPool pool{4, 20ms};
    const std::size_t one = thread_count();
    std::atomic<int> running = 0, done = 0;
    std::promise<void> release;
    const auto released = release.get_future().share();
    for (int i = 0; i < 20; ++i) {
        pool.submit([&, released](int) {
            ++running;
            released.wait();
            ++done;
        });
    }
    CHECK(eventually([&] { return running == 4; }));
    CHECK(thread_count() == one + 3);
    release.set_value();
    CHECK(eventually([&] { return done == 20; }));
    CHECK(eventually([&] { return thread_count() == one; }));
    pool.submit([&](int) { ++done; });
    CHECK(eventually([&] { return done == 21; }));
}
