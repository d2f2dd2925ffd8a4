#include "tests/unit/proxy/proxy_fixture.h"

using namespace brokerd;
using test::Peer;
using namespace std::chrono_literals;

namespace {

struct DrainFixture : test::ProxyFixture {
    /// One call, which shows that the connection has been accepted.
    void call(Peer& client) {
        REQUIRE(client.send(request("Create")));
        serve();
        CHECK(client.read_until("\r\n\r\n{}").find("200 OK") != std::string::npos);
    }
    void serve() {
        take();
        REQUIRE(at_plugin->send(answer("{}")));
    }
    void take() {
        if (!at_plugin) at_plugin.emplace(Peer::accept(plugin));
        REQUIRE(at_plugin->read_until("\r\n\r\n{}").ends_with("{}"));
    }
    void drain(std::chrono::milliseconds limit = 60s) {
        proxy.drain(limit, [this] { ++drained; });
    }

    /// What it gets when draining has taken too long.
    std::string cut_off(Peer& client) {
        drain(100ms);
        CHECK(wait_for([&] { return client.is_readable(); }));
        return client.read_to_end();
    }

    std::optional<Peer> at_plugin;
    int drained = 0;
};

bool is_last(const std::string& answer) {
    return answer.find("200 OK") != std::string::npos && answer.find("Connection: close\r\n") != std::string::npos;
}

}  // namespace

TEST_CASE_METHOD(DrainFixture, "a proxy without connections is drained at once", "[proxy]") {
    drain();
    CHECK(wait_for([&] { return drained == 1; }));
}

TEST_CASE_METHOD(DrainFixture, "a call under way is finished, as the last of its connection", "[proxy]") {
    Peer client = Peer::connect(published);
    REQUIRE(client.send(request("Create")));
    take();
    drain();
    REQUIRE(at_plugin->send(answer("{}")));
    CHECK(is_last(client.read_to_end()));
    client.close();
    CHECK(wait_for([&] { return drained == 1; }));
}

TEST_CASE_METHOD(DrainFixture, "new connections wait for whoever has the sockets next", "[proxy]") {
    Peer accepted = Peer::connect(published);
    call(accepted);
    drain();
    Peer waiting = Peer::connect(published);
    REQUIRE(waiting.send(request("Create")));
    CHECK(accepted.read_to_end().empty());
    accepted.close();
    CHECK(wait_for([&] { return drained == 1; }));
}

TEST_CASE_METHOD(DrainFixture, "a call that takes longer than the limit is answered with what became of it",
                 "[proxy]") {
    Peer client = Peer::connect(published);
    REQUIRE(client.send(request("Create")));
    take();
    const std::string answered = cut_off(client);
    CHECK_THAT(answered, Catch::StartsWith("HTTP/1.1 503 "));
    CHECK_THAT(answered, Catch::Contains("Connection: close\r\n"));
    CHECK_THAT(answered, Catch::Contains("{\"Err\":\"brokerd is being restarted or stopped, and plugin "));
    CHECK_THAT(answered, Catch::Contains("it may still be working on it"));
    client.close();
    CHECK(wait_for([&] { return drained == 1; }));
}

TEST_CASE_METHOD(DrainFixture, "a call that waits for its plugin is told that nothing was sent", "[proxy]") {
    Peer client = Peer::connect(published);
    call(client);
    const auto waiting = route();
    waiting->state = Route::State::waiting;
    waiting->wait_limit = 60s;
    proxy.set_route(waiting);
    REQUIRE(client.send(request("Create")));
    CHECK_THAT(cut_off(client), Catch::StartsWith("HTTP/1.1 503 ") && Catch::Contains("nothing was sent to it"));
}

TEST_CASE_METHOD(DrainFixture, "half a request is told that brokerd ends", "[proxy]") {
    Peer client = Peer::connect(published);
    call(client);
    REQUIRE(client.send("POST /VolumeDriver.Create HT"));
    CHECK_THAT(cut_off(client), Catch::StartsWith("HTTP/1.1 503 ") && Catch::Contains("was not complete"));
}

TEST_CASE_METHOD(DrainFixture, "an answer that has begun holds up the end no longer than the limit", "[proxy]") {
    Peer client = Peer::connect(published);
    REQUIRE(client.send(request("Create")));
    take();
    REQUIRE(at_plugin->send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{ "));
    CHECK(client.read_until("\r\n\r\n{ ").find("200 OK") != std::string::npos);
    drain(100ms);
    CHECK(wait_for([&] { return drained == 1; }));
    REQUIRE(at_plugin->send(" }"));
    CHECK(client.read(2) == " }");  // the object is still there
    test::run_ready(loop);
    CHECK(drained == 1);
}

TEST_CASE_METHOD(DrainFixture, "a plugin may be published under several names", "[proxy]") {
    const std::string other = directory / "other.sock";
    proxy.publish(test::listen_at(other), route());
    Peer one = Peer::connect(published);
    Peer two = Peer::connect(other);
    call(one);
    call(two);
    std::optional<CountsCollector::Counts> counts;
    proxy.collect([&](const CountsCollector::Counts& threads) { counts = threads; });
    REQUIRE(wait_for([&] { return counts.has_value(); }));
    REQUIRE((*counts)->size() == 1);
    REQUIRE((*counts)->front().size() == 1);
    CHECK((*counts)->front().front().connections == 2);
    proxy.withdraw(1);
    CHECK(one.read_to_end().empty());
    CHECK(two.read_to_end().empty());
}
