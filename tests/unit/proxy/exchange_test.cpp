#include <sys/socket.h>

#include "tests/unit/proxy/slot_fixture.h"

// One call after the other: requests and answers that go wrong on either side, at every stage.

using namespace brokerd;
using test::Peer;
using namespace std::chrono_literals;
using Catch::Contains;
using Catch::StartsWith;

namespace {

struct Exchange : test::SlotFixture {
    /// A call whose request the plugin has.
    void begin(std::string_view text = {}) {
        client.emplace(engine_that_sends(text.empty() ? request("List") : std::string{text}));
        at_plugin.emplace(accepted());
        asked(*at_plugin);
    }
    void limit(std::chrono::milliseconds answer_limit) {
        auto limited = route();
        limited->answer_limits = std::make_shared<const AnswerLimits>(answer_limit);
        slot->set_route(limited);
    }
    /// What the engine is answered in the end.
    std::string rest() { return answered(*client, false); }
    /// All that the engine is answered, up to this.
    std::string up_to(std::string_view end) {
        REQUIRE(until([&] { return client->is_readable(); }));
        turn_some();
        return client->read_until(end);
    }

    std::optional<Peer> client;
    std::optional<Peer> at_plugin;
};

/// A plugin at a TCP port, which can break a connection off.
struct TcpExchange : Exchange {
    TcpExchange() {
        test::TcpListener listener;
        plugin = std::move(listener.socket);
        url = std::move(listener.url);
        auto there = route();
        there->target = *Target::prepare(*Endpoint::parse(url));
        slot->set_route(there);
    }
    /// The plugin has the call, and its end of the connection is here.
    UniqueFd taken() {
        client.emplace(engine_that_sends(request("List")));
        REQUIRE(until([&] { return is_ready(plugin); }));
        UniqueFd socket{::accept4(plugin.get(), nullptr, nullptr, SOCK_CLOEXEC)};
        std::string seen;
        REQUIRE(until([&] {
            char bytes[4096];
            const ssize_t count = ::recv(socket.get(), bytes, sizeof bytes, MSG_DONTWAIT);
            if (count > 0) seen.append(bytes, static_cast<std::size_t>(count));
            return seen.ends_with("\r\n\r\n{}");
        }));
        return socket;
    }
    /// Says this, and breaks the connection off once brokerd has heard it.
    void say_and_break(UniqueFd socket, std::string_view text) {
        REQUIRE(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
        turn_some();
        const linger at_once{1, 0};
        REQUIRE(::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    }

    std::string url;
};

/// The plugin's paths are to be rewritten.
struct PathsExchange : Exchange {
    PathsExchange() {
        auto rewriting = route();
        rewriting->paths = std::make_shared<const PathRewrite>(PathRewrite{"/data", "/host/data", "/host/rootfs"});
        slot->set_route(rewriting);
    }
};

const std::string kLongRequest = "POST /VolumeDriver.List HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf";

}  // namespace

TEST_CASE_METHOD(Exchange, "calls come one after the other over one connection to the plugin", "[proxy]") {
    Peer engine_ = engine();
    for (int i = 0; i < 3; ++i) call(engine_, at_plugin);
    CHECK(slot->idle_count() == 1);
    engine_.close();
    CHECK(until([&] { return slot->client_count() == 0; }));
}

TEST_CASE_METHOD(Exchange, "what is no call of a plugin's is answered by brokerd", "[proxy]") {
    const auto [text, status, words] = GENERATE(table<std::string, std::string, std::string>(
        {{"nonsense\r\n\r\n", "400", "not a valid HTTP/1.1 request"},
         {request("List",
                  "Via: 1.1 brokerd, 1.1 brokerd, 1.1 brokerd, 1.1 brokerd, 1.1 brokerd, 1.1 brokerd, 1.1 "
                  "brokerd, 1.1 brokerd, 1.1 brokerd, 1.1 brokerd, 1.1 brokerd, 1.1 brokerd, 1.1 brokerd, 1.1 "
                  "brokerd, 1.1 brokerd, 1.1 brokerd, 1.1 brokerd\r\n"),
          "502", "in a circle"},
         {"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", "404", "methods are called as /Capability.Method"},
         {"POST /NetworkDriver.Join HTTP/1.1\r\nHost: x\r\n\r\n", "404", "does not implement NetworkDriver"},
         {"POST /Plugin.Activate HTTP/1.1\r\nHost: x\r\n\r\n", "200", ""}}));
    client.emplace(engine_that_sends(text));
    CHECK_THAT(answered(*client), StartsWith("HTTP/1.1 " + status) && Contains(words));
    CHECK_FALSE(is_ready(plugin));
}

TEST_CASE_METHOD(Exchange, "a client that leaves within a head is forgotten", "[proxy]") {
    client.emplace(engine_that_sends("POST /VolumeDriver.List HT"));
    turn_some();
    client->close();
    CHECK(until([&] { return slot->client_count() == 0; }));
}

TEST_CASE_METHOD(Exchange, "a head that takes too long is answered with 408", "[proxy]") {
    context.head_limit = 0s;
    client.emplace(engine_that_sends("POST /VolumeDriver.List HT"));
    CHECK_THAT(rest(), StartsWith("HTTP/1.1 408 "));
}

TEST_CASE_METHOD(Exchange, "a client that leaves in a call ends it at the plugin, too", "[proxy]") {
    begin();
    client->close();
    CHECK(until([&] { return at_plugin->is_readable(); }));
    CHECK(at_plugin->read_to_end().empty());
    CHECK(slot->client_count() == 0);
}

TEST_CASE_METHOD(Exchange, "a client that leaves while its plugin is connected to is forgotten", "[proxy]") {
    plugin.reset();
    client.emplace(engine_that_sends(request("List")));
    client->close();
    CHECK(until([&] { return slot->client_count() == 0; }));
    turn_some();
}

TEST_CASE_METHOD(Exchange, "HEAD has an answer without a body, and HTTP/1.0 one that ends the connection", "[proxy]") {
    begin("HEAD /VolumeDriver.List HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(at_plugin->send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"));
    CHECK(until([&] { return slot->idle_count() == 1; }));
    CHECK(client->read_until("\r\n\r\n").ends_with("\r\n\r\n"));

    client.emplace(engine_that_sends("GET /VolumeDriver.List HTTP/1.0\r\n\r\n"));
    asked(*at_plugin);
    REQUIRE(at_plugin->send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"));
    CHECK_THAT(rest(), Contains("200 OK") && Catch::EndsWith("\r\n\r\n{}"));
}

TEST_CASE_METHOD(Exchange, "a plugin that goes away in a call is told of, and the call is not repeated", "[proxy]") {
    begin();
    const bool has_begun = GENERATE(false, true);
    if (has_begun) REQUIRE(at_plugin->send("HTTP/1.1 200"));
    turn_some();
    at_plugin->close();
    CHECK_THAT(answered(*client), StartsWith("HTTP/1.1 502 ") &&
                                      Contains(has_begun ? "within the head" : "before it answered") &&
                                      Contains("is not repeated"));
    CHECK(told == std::vector<std::string>{"suspect"});
}

TEST_CASE_METHOD(Exchange, "an answer that is cut off ends the connection before it looks complete", "[proxy]") {
    begin();
    const std::string head =
        GENERATE("Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    REQUIRE(at_plugin->send("HTTP/1.1 200 OK\r\n" + head));
    turn_some();
    at_plugin->close();
    const std::string answer = rest();
    CHECK_THAT(answer, StartsWith("HTTP/1.1 200 ") && Contains("half"));
    CHECK_FALSE(answer.ends_with("0\r\n\r\n"));
    CHECK(slot->client_count() == 0);
}

TEST_CASE_METHOD(Exchange, "an answer that lasts to the end of its connection is complete there", "[proxy]") {
    begin();
    REQUIRE(at_plugin->send("HTTP/1.1 200 OK\r\n\r\nwhole"));
    turn_some();
    at_plugin->close();
    CHECK_THAT(up_to("0\r\n\r\n"), Contains("whole") && Catch::EndsWith("0\r\n\r\n"));
}

TEST_CASE_METHOD(Exchange, "what is no HTTP never gets to the engine", "[proxy]") {
    begin();
    SECTION("a head") {
        REQUIRE(at_plugin->send("SSH-2.0-OpenSSH\r\n\r\n"));
        CHECK_THAT(answered(*client), StartsWith("HTTP/1.1 502 ") && Contains("its answer is not valid HTTP/1.1"));
    }
    SECTION("interim answers without end") {
        std::string many;
        for (int i = 0; i < 17; ++i) many += "HTTP/1.1 103 Early Hints\r\n\r\n";
        REQUIRE(at_plugin->send(many));
        CHECK_THAT(up_to("}"), Contains("HTTP/1.1 502 ") && Contains("interim responses without end"));
    }
    SECTION("a chunk") {
        REQUIRE(at_plugin->send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n"));
        CHECK_THAT(rest(), StartsWith("HTTP/1.1 200 ") && !Catch::EndsWith("0\r\n\r\n"));
    }
}

TEST_CASE_METHOD(Exchange, "more than an answer ends the connection to the plugin", "[proxy]") {
    begin();
    REQUIRE(at_plugin->send(answer("{}") + "HTTP/1.1 200 OK\r\n"));
    CHECK_THAT(answered(*client), Contains("200 OK"));
    CHECK(slot->idle_count() == 0);
    CHECK(at_plugin->read_to_end().empty());
}

TEST_CASE_METHOD(Exchange, "a plugin that wants no more calls on a connection gets none", "[proxy]") {
    begin();
    REQUIRE(at_plugin->send(answer("{}", "Connection: close\r\n")));
    CHECK_THAT(answered(*client), Contains("200 OK"));
    CHECK(slot->idle_count() == 0);
}

TEST_CASE_METHOD(Exchange, "a reused connection that has just ended costs no call", "[proxy]") {
    Peer engine_ = engine();
    call(engine_, at_plugin);
    SECTION("which shows before the request is written") {
        REQUIRE(engine_.send(request("Get")));
        at_plugin->close();
    }
    SECTION("which shows when the request is written") {
        REQUIRE(engine_.send(request("Get")));
        before_writing([&] { at_plugin->close(); });
    }
    at_plugin.emplace(accepted());
    CHECK_THAT(asked(*at_plugin), StartsWith("POST /VolumeDriver.Get ") && Catch::EndsWith("{}"));
    REQUIRE(at_plugin->send(answer("{}")));
    CHECK_THAT(answered(engine_), Contains("200 OK"));
}

TEST_CASE_METHOD(Exchange, "a call that its reused connection did not take waits where the plugin is down", "[proxy]") {
    Peer engine_ = engine();
    call(engine_, at_plugin);
    REQUIRE(engine_.send(request("Get")));
    before_writing([&] {
        at_plugin->close();
        slot->set_route(waiting());
    });
    CHECK(until([&] { return told == std::vector<std::string>{"wanted"}; }));
    slot->set_route(route());
    at_plugin.emplace(accepted());
    CHECK_THAT(asked(*at_plugin), StartsWith("POST /VolumeDriver.Get ") && Catch::EndsWith("{}"));
    REQUIRE(at_plugin->send(answer("{}")));
    CHECK_THAT(answered(engine_), Contains("200 OK"));
}

TEST_CASE_METHOD(Exchange, "a call that no connection took is told why the plugin failed meanwhile", "[proxy]") {
    Peer engine_ = engine();
    call(engine_, at_plugin);
    REQUIRE(engine_.send(request("Get")));
    before_writing([&] {
        at_plugin->close();
        slot->set_route(failed("it has no disk"));
    });
    CHECK_THAT(answered(engine_), StartsWith("HTTP/1.1 503 ") && Contains("it has no disk"));
}

TEST_CASE_METHOD(Exchange, "a plugin that does not answer in time is told of", "[proxy]") {
    limit(1ms);
    begin();
    CHECK_THAT(answered(*client), StartsWith("HTTP/1.1 504 ") && Contains("has not answered the call"));
    CHECK(at_plugin->read_to_end().empty());
}

TEST_CASE_METHOD(Exchange, "an engine whose body does not come in time is told so", "[proxy]") {
    limit(1ms);
    begin(kLongRequest);
    CHECK_THAT(rest(), StartsWith("HTTP/1.1 408 ") && Contains("the rest of its body did not come"));
}

TEST_CASE_METHOD(Exchange, "who waits for leave to send its body is not late", "[proxy]") {
    limit(1ms);
    begin("POST /VolumeDriver.List HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n");
    CHECK_THAT(rest(), StartsWith("HTTP/1.1 504 ") && Contains("Connection: close"));
}

TEST_CASE_METHOD(Exchange, "leave to send a body is handed on", "[proxy]") {
    begin("POST /VolumeDriver.List HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    REQUIRE(at_plugin->send("HTTP/1.1 100 Continue\r\n\r\n"));
    REQUIRE(until([&] { return client->is_readable(); }));
    CHECK(client->read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
    REQUIRE(client->send("body"));
    REQUIRE(until([&] { return at_plugin->is_readable(); }));
    CHECK(at_plugin->read(4) == "body");
    REQUIRE(at_plugin->send(answer("{}")));
    CHECK_THAT(answered(*client), Contains("200 OK"));
}

TEST_CASE_METHOD(Exchange, "an answer that has begun may take any time, the rest of the request may not", "[proxy]") {
    limit(0ms);
    begin(kLongRequest);
    limit(1ms);  // from the next progress on, which is the beginning of the answer
    REQUIRE(at_plugin->send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"));
    CHECK_THAT(rest(), StartsWith("HTTP/1.1 200 ") && Catch::EndsWith("half"));
    CHECK(slot->client_count() == 0);
}

TEST_CASE_METHOD(Exchange, "without a limit a plugin may take any time", "[proxy]") {
    limit(0ms);
    begin();
    turn_some();
    CHECK_FALSE(client->is_readable());
    REQUIRE(at_plugin->send(answer("{}")));
    CHECK_THAT(answered(*client), Contains("200 OK"));
}

TEST_CASE_METHOD(Exchange, "a body that is malformed does not become a whole request", "[proxy]") {
    begin("POST /VolumeDriver.List HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    const bool has_begun = GENERATE(false, true);
    if (has_begun) {
        REQUIRE(at_plugin->send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"));
        REQUIRE(until([&] { return client->is_readable(); }));
    }
    REQUIRE(client->send("no number\r\n"));
    CHECK_THAT(rest(), StartsWith(has_begun ? "HTTP/1.1 200 " : "HTTP/1.1 400 "));
    CHECK_FALSE(at_plugin->read_to_end().ends_with("0\r\n\r\n"));
}

TEST_CASE_METHOD(Exchange, "a plugin that answers before it has the whole request ends its connection", "[proxy]") {
    begin(kLongRequest);
    REQUIRE(at_plugin->send(answer("{}")));
    CHECK_THAT(rest(), StartsWith("HTTP/1.1 200 ") && Contains("Connection: close"));
    CHECK(slot->idle_count() == 0);
}

TEST_CASE_METHOD(Exchange, "a plugin that fails before it has the whole request ends the engine's connection",
                 "[proxy]") {
    begin(kLongRequest);
    at_plugin->close();
    CHECK_THAT(rest(), StartsWith("HTTP/1.1 502 ") && Contains("Connection: close"));
}

TEST_CASE_METHOD(TcpExchange, "a plugin's connection that is broken off is told of", "[proxy]") {
    SECTION("before an answer") {
        say_and_break(taken(), "");
        CHECK_THAT(answered(*client), StartsWith("HTTP/1.1 502 ") && Contains("eset by peer"));
    }
    SECTION("within its head") {
        say_and_break(taken(), "HTTP/1.1 200");
        CHECK_THAT(answered(*client), StartsWith("HTTP/1.1 502 ") && Contains("eset by peer"));
    }
    SECTION("within its body") {
        say_and_break(taken(), "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        CHECK_THAT(rest(), StartsWith("HTTP/1.1 200 "));
    }
}

TEST_CASE_METHOD(TcpExchange, "a TCP port where nobody listens is down", "[proxy]") {
    plugin.reset();
    client.emplace(engine_that_sends(request("List")));
    CHECK(until([&] { return !told.empty(); }));
    CHECK(told[0] == "down: nothing listens on " + url + " (connection refused)");
}

TEST_CASE_METHOD(TcpExchange, "a connection to a TCP port that has ended is not used again", "[proxy]") {
    {
        const UniqueFd socket = taken();
        const std::string said = answer("{}");
        REQUIRE(::send(socket.get(), said.data(), said.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(said.size()));
        CHECK_THAT(answered(*client), Contains("200 OK"));
        CHECK(slot->idle_count() == 1);
    }
    CHECK(until([&] { return slot->idle_count() == 0; }));
    CHECK(told == std::vector<std::string>{"suspect"});
}

TEST_CASE_METHOD(PathsExchange, "an answer that tells paths is held until it is whole, and rewritten", "[proxy]") {
    begin(request("Path"));
    const std::string body = R"({"Mountpoint":"/data/v"})";
    REQUIRE(at_plugin->send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n"));
    turn_some();
    CHECK_FALSE(client->is_readable());
    REQUIRE(at_plugin->send(body));
    CHECK_THAT(answered(*client), Contains("/host/data/v"));
    CHECK(slot->idle_count() == 1);
}

TEST_CASE_METHOD(PathsExchange, "an answer that could tell wrong paths is not handed on", "[proxy]") {
    const bool is_whole = GENERATE(false, true);
    begin(is_whole ? request("Path")
                   : "POST /VolumeDriver.Path HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
    REQUIRE(at_plugin->send(answer("no JSON")));
    CHECK_THAT(is_whole ? answered(*client) : rest(), StartsWith("HTTP/1.1 502 ") && Contains("cannot be handed on"));
}

TEST_CASE_METHOD(PathsExchange, "an error, and the answer to HEAD, tell no paths", "[proxy]") {
    begin(request("Path"));
    REQUIRE(at_plugin->send("HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno"));
    CHECK_THAT(answered(*client), StartsWith("HTTP/1.1 500 ") && Catch::EndsWith("no"));
    REQUIRE(client->send("HEAD /VolumeDriver.Path HTTP/1.1\r\nHost: x\r\n\r\n"));
    asked(*at_plugin);
    REQUIRE(at_plugin->send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"));
    CHECK(until([&] { return client->is_readable(); }));
}

TEST_CASE_METHOD(PathsExchange, "a rewritten answer is the last where the plugin is removed, or the request half",
                 "[proxy]") {
    const bool is_removed = GENERATE(false, true);
    begin(is_removed ? request("Path")
                     : "POST /VolumeDriver.Path HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
    if (is_removed) slot->withdraw([] {});
    REQUIRE(at_plugin->send(answer(R"({"Mountpoint":"/data/v"})")));
    CHECK_THAT(rest(), Contains("/host/data/v") && Contains("Connection: close"));
}
