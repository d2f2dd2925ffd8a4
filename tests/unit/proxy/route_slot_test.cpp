#include "tests/unit/proxy/slot_fixture.h"

// A plugin's connections on one thread: who waits, who is told what, and what happens where there is no more room.

using namespace brokerd;
using test::Peer;
using namespace std::chrono_literals;
using Catch::Contains;
using Catch::StartsWith;
using Strings = std::vector<std::string>;

namespace {

struct Slot : test::SlotFixture {
    /// Lets nobody connect to the plugin for now: its backlog is full.
    void fill_backlog() {
        REQUIRE(::listen(plugin.get(), 0) == 0);
        for (;;) {
            const sockaddr_un address = test::unix_address(endpoint);
            UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
            if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) break;
            in_backlog.push_back(std::move(socket));
        }
        REQUIRE(errno == EAGAIN);
    }
    void empty_backlog() {
        for (; !in_backlog.empty(); in_backlog.pop_back()) static_cast<void>(Peer::accept(plugin));
    }
    /// A handshake with `target` that succeeds; its connection is handed to the slot.
    void shake_hands(std::shared_ptr<const Target> target) {
        std::shared_ptr<Upstream> upstream;
        const auto handshake =
            std::make_shared<Handshake>(context, std::move(target), [&](const auto&, auto done) { upstream = done; });
        handshake->start(20s);
        handshaken.push_back(accepted());
        CHECK_THAT(asked(handshaken.back()), StartsWith("POST /Plugin.Activate "));
        REQUIRE(handshaken.back().send(answer(R"({"Implements":["VolumeDriver"]})")));
        REQUIRE(until([&] { return upstream != nullptr; }));
        slot->park_handshaken(std::move(upstream));
    }

    std::vector<UniqueFd> in_backlog;
    std::vector<Peer> handshaken;
    int over = 0;  ///< how often the slot said that it is empty, or drained
};

}  // namespace

TEST_CASE_METHOD(Slot, "calls wait for their plugin, which is asked for once", "[proxy]") {
    slot->set_route(waiting());
    Peer one = engine_that_sends(request("List"));
    Peer two = engine_that_sends(request("Get"));
    turn_some();
    CHECK(told == Strings{"wanted"});
    CHECK_FALSE(one.is_readable());
    slot->set_route(waiting());  // nothing that they wait for
    turn_some();
    slot->set_route(route());
    Peer first = accepted();
    Peer second = accepted();
    const std::string both = asked(first) + asked(second);
    CHECK_THAT(both, Contains("POST /VolumeDriver.List ") && Contains("POST /VolumeDriver.Get "));
    REQUIRE(first.send(answer("{}")));
    REQUIRE(second.send(answer("{}")));
    CHECK_THAT(answered(one), Contains("200 OK"));
    CHECK_THAT(answered(two), Contains("200 OK"));
}

TEST_CASE_METHOD(Slot, "a plugin that has failed is told of, to who waits and to who comes", "[proxy]") {
    slot->set_route(waiting());
    Peer early = engine_that_sends(request("List"));
    turn_some();
    slot->set_route(failed("it has no disk"));
    CHECK_THAT(answered(early), StartsWith("HTTP/1.1 503 ") && Contains("it has no disk"));
    Peer late = engine_that_sends("POST /Plugin.Activate HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    CHECK_THAT(answered(late), StartsWith("HTTP/1.1 503 ") && Contains("it has no disk"));
}

TEST_CASE_METHOD(Slot, "a call waits for its plugin no longer than it was promised", "[proxy]") {
    slot->set_route(waiting(-1s));  // a second is added for the core's own
    Peer client = engine_that_sends(request("List"));
    CHECK_THAT(answered(client), StartsWith("HTTP/1.1 504 ") && Contains("did not become active"));
}

TEST_CASE_METHOD(Slot, "a plugin that is removed answers who waits, and lets go of who rests", "[proxy]") {
    Peer resting = engine();
    Peer busy = engine_that_sends(request("List"));
    Peer at_plugin = accepted();
    asked(at_plugin);
    slot->set_route(waiting());
    Peer waits = engine_that_sends(request("List"));
    turn_some();
    slot->withdraw([this] { ++over; });
    CHECK_THAT(answered(waits, false), StartsWith("HTTP/1.1 503 ") && Contains("has been removed"));
    CHECK(resting.read_to_end().empty());
    REQUIRE(at_plugin.send(answer("{}")));
    CHECK_THAT(answered(busy, false), StartsWith("HTTP/1.1 200 ") && Contains("Connection: close"));
    CHECK(over == 0);
    waits.close();
    busy.close();
    CHECK(until([&] { return over == 1; }));
    CHECK(slot->idle_count() == 0);  // the plugin's connection was not kept, either
}

TEST_CASE_METHOD(Slot, "a plugin without connections is removed at once", "[proxy]") {
    slot->withdraw([this] { ++over; });
    CHECK(over == 1);
    slot->on_deadline();  // it does not begin to listen again
    turn_some();
    CHECK(slot->client_count() == 0);
}

TEST_CASE_METHOD(Slot, "a call whose plugin was removed while it failed is told so", "[proxy]") {
    fill_backlog();
    Peer client = engine_that_sends(request("List"));
    turn_some();
    slot->withdraw([this] { ++over; });
    plugin.reset();
    CHECK_THAT(answered(client, false), StartsWith("HTTP/1.1 503 ") && Contains("has been removed"));
    CHECK(told == Strings{"down: nothing listens on unix://" + endpoint + " (connection refused)"});
}

TEST_CASE_METHOD(Slot, "a plugin that fails in a call after it was removed answers its last one", "[proxy]") {
    Peer client = engine_that_sends(request("List"));
    Peer at_plugin = accepted();
    asked(at_plugin);
    slot->withdraw([this] { ++over; });
    at_plugin.close();
    CHECK_THAT(answered(client, false), StartsWith("HTTP/1.1 502 ") && Contains("Connection: close"));
}

TEST_CASE_METHOD(Slot, "that nobody listens is told once, and calls wait for what comes of it", "[proxy]") {
    plugin.reset();
    Peer one = engine_that_sends(request("List"));
    Peer two = engine_that_sends(request("List"));
    turn_some();
    CHECK(told == Strings{"down: nothing listens on unix://" + endpoint + " (connection refused)"});
    CHECK_FALSE(one.is_readable());
    plugin = [&] {
        std::filesystem::remove(endpoint);
        return test::listen_at(endpoint);
    }();
    slot->set_route(route());
    Peer at_plugin = accepted();
    asked(at_plugin);
    Peer other = accepted();
    asked(other);
    REQUIRE(at_plugin.send(answer("{}")));
    REQUIRE(other.send(answer("{}")));
    CHECK_THAT(answered(one), Contains("200 OK"));
    CHECK_THAT(answered(two), Contains("200 OK"));
}

TEST_CASE_METHOD(Slot, "why a plugin cannot be connected to is told in full", "[proxy]") {
    auto nowhere = route();
    std::vector<Peer> engines;
    const auto unreachable = [&](const std::string& path_of_socket) {
        nowhere->target = *Target::prepare(*Endpoint::parse("unix://" + path_of_socket));
        told.clear();
        slot->set_route(nowhere);
        engines.push_back(engine_that_sends(request("List")));
        turn_some();
        REQUIRE(told.size() == 1);
        return told[0];
    };
    test::write_file(directory / "file", "");
    CHECK_THAT(unreachable(directory / "nobody.sock"), Contains("no such socket"));
    CHECK_THAT(unreachable(directory / "file/x.sock"), Contains("failed: ") && Contains("ot a directory"));
}

TEST_CASE_METHOD(Slot, "the second address of a name is tried where the first one refuses", "[proxy]") {
    auto two = route();
    auto target = std::make_shared<Target>(*two->target);
    target->addresses.insert(target->addresses.begin(), target->addresses[0]);
    auto* const first = reinterpret_cast<sockaddr_un*>(&target->addresses[0].storage);
    std::copy_n("x", 1, first->sun_path);  // a relative path, where there is nothing
    two->target = target;
    slot->set_route(two);
    Peer client = engine_that_sends(request("List"));
    Peer at_plugin = accepted();
    asked(at_plugin);
    CHECK(told.empty());
}

TEST_CASE_METHOD(Slot, "a plugin whose backlog is full is busy, and not down", "[proxy]") {
    fill_backlog();
    Peer client = engine_that_sends(request("List"));
    turn_some();
    CHECK(told.empty());
    empty_backlog();
    Peer at_plugin = accepted();
    CHECK_THAT(asked(at_plugin), StartsWith("POST /VolumeDriver.List "));
}

TEST_CASE_METHOD(Slot, "the time for an answer does not run out while its plugin is connected to", "[proxy]") {
    const auto patient = route();
    slot->set_route(patient);
    Peer client = engine();
    std::optional<Peer> at_plugin;
    call(client, at_plugin);
    const auto hasty = std::make_shared<Route>(*patient);
    hasty->answer_limits = std::make_shared<const AnswerLimits>(1ms);
    slot->set_route(hasty);
    fill_backlog();
    REQUIRE(client.send(request("Get")));
    before_writing([&] { at_plugin->close(); });  // so that it is sent on a connection yet to be made
    turn_some();
    context.head_limit = 0s;
    Peer other = engine_that_sends("POST /VolumeDriver.");
    CHECK_THAT(answered(other), StartsWith("HTTP/1.1 408 "));  // deadlines have been looked at
    CHECK_FALSE(client.is_readable());
    slot->set_route(patient);
    empty_backlog();
    at_plugin.emplace(accepted());
    CHECK_THAT(asked(*at_plugin), StartsWith("POST /VolumeDriver.Get "));
    REQUIRE(at_plugin->send(answer("{}")));
    CHECK_THAT(answered(client), Contains("200 OK"));
}

TEST_CASE_METHOD(Slot, "a plugin that has moved while it was connected to is called where it is now", "[proxy]") {
    fill_backlog();
    Peer client = engine_that_sends(request("List"));
    turn_some();
    const UniqueFd other = test::listen_at(directory / "other.sock");
    auto moved = route();
    moved->target = *Target::prepare(*Endpoint::parse("unix://" + directory / "other.sock"));
    slot->set_route(moved);
    plugin.reset();
    REQUIRE(until([&] { return is_ready(other); }));
    CHECK(told.empty());  // where it was is no news
}

TEST_CASE_METHOD(Slot, "a connection that was in use while its plugin moved is not kept", "[proxy]") {
    Peer client = engine_that_sends(request("List"));
    Peer at_plugin = accepted();
    asked(at_plugin);
    const UniqueFd other = test::listen_at(directory / "other.sock");
    auto moved = route();
    moved->target = *Target::prepare(*Endpoint::parse("unix://" + directory / "other.sock"));
    slot->set_route(moved);
    REQUIRE(at_plugin.send(answer("{}")));
    CHECK_THAT(answered(client), Contains("200 OK"));
    CHECK(slot->idle_count() == 0);
    CHECK(at_plugin.read_to_end().empty());
}

TEST_CASE_METHOD(Slot, "without descriptors no connection is accepted, and later those that waited are", "[proxy]") {
    Peer early = engine();
    UniqueFd waiting_engine{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const sockaddr_un address = test::unix_address(path);
    {
        const test::NoMoreDescriptors none;
        REQUIRE(::connect(waiting_engine.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        turn_some();
        CHECK(slot->client_count() == 1);
        slot->on_deadline();  // it looks again, and still has none
        turn_some();
        CHECK(slot->client_count() == 1);
        early.close();  // which makes a descriptor free, and does not make it look again
        turn();
        context.clients_per_socket = 1000;
        slot->on_limits_changed();  // does not make it look again
        turn_some();
    }
    CHECK(until([&] { return slot->client_count() == 1; }));
}

TEST_CASE_METHOD(Slot, "without descriptors a call waits for its connection to the plugin", "[proxy]") {
    Peer client = engine();
    {
        const test::NoMoreDescriptors none;
        REQUIRE(client.send(request("List")));
        turn_some();
        CHECK_FALSE(client.is_readable());
        CHECK(told.empty());
    }
    Peer at_plugin = accepted();
    asked(at_plugin);
    REQUIRE(at_plugin.send(answer("{}")));
    CHECK_THAT(answered(client), Contains("200 OK"));
}

TEST_CASE_METHOD(Slot, "as many connections as the limit says, and the next when one ends", "[proxy]") {
    context.clients_per_socket = 1;
    Peer one = engine();
    Peer two = Peer::connect(path);
    turn_some();
    CHECK(slot->client_count() == 1);
    one.close();
    REQUIRE(two.send(request("List")));
    Peer at_plugin = accepted();
    CHECK(slot->client_count() == 1);
    Peer three = Peer::connect(path);
    turn_some();
    CHECK(slot->client_count() == 1);
    context.clients_per_socket = 2;
    slot->on_limits_changed();
    CHECK(until([&] { return slot->client_count() == 2; }));
    context.clients_per_socket = 1;
    slot->on_limits_changed();
    add(directory / "more.sock");  // does not begin to listen, where there is no room
    Peer four = Peer::connect(directory / "more.sock");
    three.close();
    turn_some();
    CHECK(slot->client_count() == 1);
}

TEST_CASE_METHOD(Slot, "a burst of connections is accepted in turns, and the limit ends it", "[proxy]") {
    context.clients_per_socket = 40;
    std::vector<Peer> engines;
    for (int i = 0; i < 50; ++i) engines.push_back(Peer::connect(path));
    CHECK(until([&] { return slot->client_count() == 40; }));
    turn_some();
    CHECK(slot->client_count() == 40);
}

TEST_CASE_METHOD(Slot, "who is left of many connections is served when most have gone", "[proxy]") {
    context.clients_per_socket = 1100;
    std::vector<Peer> engines;
    for (std::size_t i = 0; i < 1100; ++i) {
        engines.push_back(Peer::connect(path));
        REQUIRE(until([&] { return slot->client_count() == i + 1; }));
    }
    engines.erase(engines.begin() + 1, engines.end());
    CHECK(until([&] { return slot->client_count() == 1; }));
    std::optional<Peer> at_plugin;
    call(engines[0], at_plugin);
}

TEST_CASE_METHOD(Slot, "while it drains, each state of a connection has its end", "[proxy]") {
    Peer resting = engine();
    Peer busy = engine_that_sends(request("List"));
    Peer at_plugin = accepted();
    asked(at_plugin);
    Peer last = engine_that_sends("GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    REQUIRE(until([&] { return last.is_readable(); }));  // answered, and not closed by its engine
    fill_backlog();
    Peer connecting = engine_that_sends(request("Get"));
    turn_some();
    slot->set_route(waiting());
    Peer waits = engine_that_sends(request("Path"));
    turn_some();
    slot->drain([this] { ++over; });
    slot->add(std::make_shared<const UniqueFd>(test::listen_at(directory / "more.sock")));
    slot->cut_off();
    CHECK_THAT(answered(busy, false), StartsWith("HTTP/1.1 503 ") && Contains("may still be working on it"));
    CHECK_THAT(answered(connecting, false), StartsWith("HTTP/1.1 503 ") && Contains("nothing was sent to it"));
    CHECK_THAT(answered(waits, false), StartsWith("HTTP/1.1 503 ") && Contains("nothing was sent to it"));
    CHECK_THAT(answered(last, false), StartsWith("HTTP/1.1 404 "));
    CHECK(answered(resting, false).empty());  // after its grace
    for (Peer* engine : {&resting, &busy, &connecting, &waits, &last}) engine->close();
    CHECK(until([&] { return over == 1; }));
}

TEST_CASE_METHOD(Slot, "an idle connection may carry one more call, and is closed where none comes", "[proxy]") {
    Peer busy = engine();
    Peer idle = engine();
    std::optional<Peer> at_plugin;
    call(busy, at_plugin);
    call(idle, at_plugin);
    slot->drain([this] { ++over; });
    REQUIRE(busy.send(request("Create")));
    CHECK_THAT(asked(*at_plugin), StartsWith("POST /VolumeDriver.Create "));
    REQUIRE(at_plugin->send(answer("{}")));
    CHECK_THAT(answered(busy, false), Contains("200 OK") && Contains("Connection: close\r\n"));
    CHECK(answered(idle, false).empty());
    CHECK_FALSE(idle.send(request("Create")));  // nothing of it has left: an engine repeats it
    busy.close();
    idle.close();
    CHECK(until([&] { return over == 1; }));
}

TEST_CASE_METHOD(Slot, "a request that has begun when the grace ends is read to its end", "[proxy]") {
    Peer resting = engine();
    Peer client = engine();
    slot->drain([this] { ++over; });
    REQUIRE(client.send("POST /VolumeDriver.List HTTP/1.1\r\n"));
    CHECK(answered(resting, false).empty());  // the grace is over
    REQUIRE(client.send("Host: x\r\nContent-Length: 2\r\n\r\n{}"));
    Peer at_plugin = accepted();
    asked(at_plugin);
    REQUIRE(at_plugin.send(answer("{}")));
    CHECK_THAT(answered(client, false), Contains("200 OK") && Contains("Connection: close"));
    client.close();
    resting.close();
    CHECK(until([&] { return over == 1; }));
}

TEST_CASE_METHOD(Slot, "a plugin that nobody calls is drained at once", "[proxy]") {
    slot->drain([this] { ++over; });
    CHECK(over == 1);
    slot->drain({});  // as of a plugin that is published while brokerd drains
    Peer client = Peer::connect(path);
    turn_some();
    CHECK(slot->client_count() == 0);
}

TEST_CASE_METHOD(Slot, "the connection of a handshake carries the first call", "[proxy]") {
    const bool is_known = GENERATE(false, true);
    const auto next = route();
    slot->set_route(is_known ? std::shared_ptr<Route>{next} : waiting());
    shake_hands(next->target);
    CHECK(slot->idle_count() == (is_known ? 1 : 0));
    slot->set_route(next);
    CHECK(slot->idle_count() == 1);
    Peer client = engine_that_sends(request("List"));
    CHECK_THAT(asked(handshaken[0]), StartsWith("POST /VolumeDriver.List "));
}

TEST_CASE_METHOD(Slot, "a handshake's connection that nobody wants any more is closed", "[proxy]") {
    const auto next = route();
    slot->set_route(waiting());
    shake_hands(next->target);
    shake_hands(next->target);  // takes the place of the first
    CHECK(handshaken[0].read_to_end().empty());
    SECTION("because the plugin has failed") {
        slot->set_route(failed("it is gone"));
    }
    SECTION("because it leads elsewhere") {
        auto moved = route();
        moved->target = *Target::prepare(*Endpoint::parse("unix://" + directory / "other.sock"));
        slot->set_route(moved);
    }
    SECTION("because the plugin is removed") {
        slot->withdraw([] {});
    }
    CHECK(handshaken[1].read_to_end().empty());
    CHECK(slot->idle_count() == 0);
}

TEST_CASE_METHOD(Slot, "a handshake's connection that ends before its route comes is forgotten", "[proxy]") {
    const auto next = route();
    slot->set_route(waiting());
    shake_hands(next->target);
    handshaken[0].close();
    turn_some();
    slot->set_route(next);
    CHECK(slot->idle_count() == 0);
}

TEST_CASE_METHOD(Slot, "an idle connection that the plugin closes makes it suspect", "[proxy]") {
    Peer client = engine();
    std::optional<Peer> at_plugin;
    call(client, at_plugin);
    CHECK(slot->idle_count() == 1);
    at_plugin->close();
    CHECK(until([&] { return !told.empty(); }));
    CHECK(told == Strings{"suspect"});
    CHECK(slot->idle_count() == 0);
}
