#include "tests/unit/proxy/slot_fixture.h"

// A connection to a plugin with a user that does what the proxy's own do not, or not always: it stays when the
// connection has failed, or lets go of it in the middle of a callback.

using namespace brokerd;
using test::Peer;
using namespace std::chrono_literals;
using Catch::Contains;
using Strings = std::vector<std::string>;

namespace {

/// Notes what it is told.
struct User final : UpstreamUser {
    void on_upstream_ready() override { told.emplace_back("ready"); }
    void on_connect_failed(const std::string& reason, ConnectFailure) override { told.push_back("down: " + reason); }
    void on_response_head(const HttpHead& head) override {
        told.push_back("head " + std::to_string(head.status));
        if (at_head) at_head();
    }
    std::size_t take_body(std::string_view piece) override { return piece.size(); }
    void on_response_end(bool) override { told.emplace_back("end"); }
    void on_upstream_failed(const std::string& reason, bool) override { told.push_back("failed: " + reason); }
    void on_upstream_room() override {}
    void on_upstream_turn_end() override { told.emplace_back("turn"); }

    Strings told;
    std::function<void()> at_head;
};

/// Keeps an idle connection, and counts its ends.
struct Keeper final : IdleKeeper {
    void on_idle_end(Upstream&) override { ++ends; }
    int ends = 0;
};

struct Connection : test::SlotFixture {
    ~Connection() { upstream.reset(); }
    void connect(const std::string& url) { start(*Target::prepare(*Endpoint::parse(url))); }
    void start(std::shared_ptr<const Target> target) {
        upstream = std::make_shared<Upstream>(context, std::move(target));
        upstream->connect(user);
    }
    /// Connected, and the plugin's end.
    Peer exchange() {
        connect("unix://" + endpoint);
        REQUIRE(user.told == Strings{"ready"});
        user.told.clear();
        return accepted();
    }
    /// A port where the test listens, and the plugin is to speak TLS.
    UniqueFd listen_for_tls() {
        test::TcpListener listener;
        Endpoint secured = *Endpoint::parse(listener.url);
        secured.use_tls({.insecure_skip_verify = true, .ca_file = {}, .cert_file = {}, .key_file = {}});
        start(*Target::prepare(secured));
        return std::move(listener.socket);
    }

    User user;
    std::shared_ptr<Upstream> upstream;
};

}  // namespace

TEST_CASE_METHOD(Connection, "who gives a connection up before its failure is told hears nothing", "[proxy]") {
    connect("unix://" + directory / "nobody.sock");
    SECTION("it is closed") {
        upstream->close();
    }
    SECTION("it is destroyed") {
        upstream.reset();
    }
    turn_some();
    CHECK(user.told.empty());
}

TEST_CASE_METHOD(Connection, "a user that stays after a failure is told of it once", "[proxy]") {
    Peer at_plugin = exchange();
    at_plugin.close();
    REQUIRE(until([&] { return !user.told.empty(); }));
    turn_some();
    upstream->pump();
    CHECK(user.told == Strings{"failed: it closed the connection before it answered"});
}

TEST_CASE_METHOD(Connection, "a user may end the connection when it sees a head", "[proxy]") {
    const std::string status = GENERATE("103", "200");
    Peer at_plugin = exchange();
    user.at_head = [&] { upstream->close(); };
    REQUIRE(at_plugin.send("HTTP/1.1 " + status + " X\r\nContent-Length: 2\r\n\r\n{}"));
    REQUIRE(until([&] { return !user.told.empty(); }));
    turn_some();
    CHECK(user.told == Strings{"head " + status});
    CHECK(at_plugin.read_to_end().empty());
}

TEST_CASE_METHOD(Connection, "an idle connection ends when it has ended, and not when it has room", "[proxy]") {
    Peer at_plugin = exchange();
    Keeper keeper;
    upstream->park(keeper);
    upstream->on_events(EPOLLOUT);
    CHECK(keeper.ends == 0);
    at_plugin.close();
    CHECK(until([&] { return keeper.ends == 1; }));
}

TEST_CASE_METHOD(Connection, "a reused connection that has room, or is only said to have something, is good",
                 "[proxy]") {
    Peer at_plugin = exchange();
    upstream->channel().out.append("x");
    upstream->flush();
    REQUIRE(at_plugin.read(1) == "x");
    Keeper keeper;
    upstream->park(keeper);
    upstream->begin(user);
    upstream->on_events(EPOLLOUT);
    upstream->on_events(EPOLLIN);
    CHECK(user.told == Strings{"turn", "turn"});
}

TEST_CASE_METHOD(Connection, "a plugin that ends the TLS handshake is not there", "[proxy]") {
    const UniqueFd listener = listen_for_tls();
    REQUIRE(until([&] { return is_ready(listener); }));
    { Peer::accept(listener).close(); }
    REQUIRE(until([&] { return !user.told.empty(); }));
    REQUIRE(user.told.size() == 1);
    CHECK_THAT(user.told[0], Catch::StartsWith("down: "));
}

TEST_CASE_METHOD(Connection, "a plugin that says nothing to the TLS handshake is late", "[proxy]") {
    const UniqueFd listener = listen_for_tls();
    REQUIRE(until([&] { return is_ready(listener); }));
    const Peer silent = Peer::accept(listener);
    turn_some();
    upstream->on_deadline();  // rather than wait for it
    REQUIRE(until([&] { return !user.told.empty(); }));
    CHECK_THAT(user.told[0], Contains("did not complete the connection within 5 s"));
}
