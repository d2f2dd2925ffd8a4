#include <catch2/catch.hpp>

#include "daemon/control/event_filter.h"
#include "tests/unit/control/control_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
using namespace std::chrono_literals;

namespace {

PluginEvent parsed(const std::string& line) {
    auto document = parse_json(line);
    REQUIRE(document);
    return plugin_event_from_json(*document);
}

/// "ACTION PLUGIN" of the next event.
std::string next(Client& watcher, bool chunked = true) {
    const PluginEvent told = parsed(watcher.receive_line(chunked));
    return told.action + " " + told.plugin;
}

/// A connection that watches: what is published from now on, it is told.
Client watch(ControlFixture& broker, const std::string& query = {}) {
    Client watcher = broker.connect();
    watcher.send("GET /broker/v1/events" + query + " HTTP/1.1\r\nHost: x\r\n\r\n");
    const std::string head = watcher.receive_head();
    CHECK(head.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(head.find("\r\nTransfer-Encoding: chunked\r\n") != head.npos);
    CHECK(head.find("\r\nContent-Type: application/x-ndjson\r\n") != head.npos);
    return watcher;
}

}  // namespace

TEST_CASE("a watcher is told of each event", "[control]") {
    ControlFixture broker;
    Client watcher = watch(broker);
    broker.publish(event("discovered", "mobyfs"));
    broker.publish(event("active", "mobyfs", {"VolumeDriver"}));
    const PluginEvent first = parsed(watcher.receive_line());
    CHECK(first.action == "discovered");
    CHECK(first.sequence == 1);
    CHECK(first.time != PluginView::Time{});
    CHECK(next(watcher) == "active mobyfs");
}

TEST_CASE("replay=N gives the last events first, then the live ones", "[control]") {
    ControlFixture broker;
    for (const char* name : {"a", "b", "c"}) broker.publish(event("active", name, {"VolumeDriver"}));
    Client watcher = watch(broker, "?replay=2"), all = watch(broker, "?replay=1000000"),
           none = watch(broker, "?replay=0");
    broker.publish(event("gone", "a"));
    CHECK(next(watcher) == "active b");
    CHECK(next(watcher) == "active c");
    CHECK(next(watcher) == "gone a");
    CHECK(next(all) == "active a");
    CHECK(next(none) == "gone a");
}

TEST_CASE("replay=active gives each active plugin, and no event twice or never", "[control]") {
    ControlFixture broker;
    broker.add(plugin("mobyfs", "active", {"VolumeDriver"}));
    broker.add(plugin("down", "failed", {"VolumeDriver"}));
    broker.add(plugin("weave", "active", {"NetworkDriver"}));
    Client watcher = watch(broker, "?replay=active&capability=VolumeDriver");
    broker.publish(event("active", "weave2", {"NetworkDriver"}));
    broker.publish(event("failed", "down"));
    const PluginEvent first = parsed(watcher.receive_line());
    CHECK(first.sequence == 0);
    CHECK(first.plugin == "mobyfs");
    CHECK(first.implements == std::vector<std::string>{"VolumeDriver"});
    CHECK(next(watcher) == "failed down");
}

TEST_CASE("a watcher of a capability is told when a managed plugin can and cannot be used", "[control]") {
    EventFilter filter{"VolumeDriver"};
    filter.learn(plugin("off", "disabled", {"VolumeDriver"}));
    filter.learn(plugin("on", "running", {"VolumeDriver"}));
    const auto passes = [&](const char* action, const char* name) {
        return filter.passes(event(action, name, {"VolumeDriver"}));
    };
    CHECK_FALSE(passes("removed", "off"));
    CHECK_FALSE(passes("starting", "new"));
    CHECK(passes("running", "new"));
    CHECK_FALSE(passes("unhealthy", "new"));
    CHECK(passes("restarting", "new"));
    CHECK(passes("running", "new"));
    CHECK(passes("stopping", "on"));
    CHECK_FALSE(passes("stopped", "on"));
    CHECK_FALSE(passes("removed", "on"));
    CHECK(passes("removed", "new"));
}

TEST_CASE("replay and live events join without gap or duplicate", "[control]") {
    ControlFixture broker;
    constexpr std::uint64_t kEvents = 500;
    std::vector<Client> watchers;
    for (std::uint64_t i = 0; i < kEvents; ++i) {
        broker.loop.post(
            [&broker, i] { broker.core.events().publish(event("active", "p" + std::to_string(i), {"authz"})); });
        if (i % 50 != 0) continue;
        watchers.push_back(broker.connect());
        watchers.back().send("GET /broker/v1/events?replay=1000 HTTP/1.1\r\n\r\n");
    }
    for (Client& watcher : watchers) {
        (void)watcher.receive_head();
        for (std::uint64_t i = 1; i <= kEvents; ++i) REQUIRE(parsed(watcher.receive_line()).sequence == i);
    }
}

TEST_CASE("with a capability only what an engine's handler needs is told", "[control]") {
    EventFilter filter{"VolumeDriver"};
    CHECK_FALSE(filter.passes(event("discovered", "a")));
    CHECK_FALSE(filter.passes(event("active", "b", {"NetworkDriver"})));
    CHECK_FALSE(filter.passes(event("gone", "b")));
    CHECK(filter.passes(event("active", "a", {"authz", "VolumeDriver"})));
    CHECK_FALSE(filter.passes(event("activating", "a")));
    CHECK(filter.passes(event("failed", "a")));
    CHECK(filter.passes(event("active", "a", {"VolumeDriver"})));
    CHECK(filter.passes(event("changed", "a", {"authz"})));        // it has lost the capability
    CHECK_FALSE(filter.passes(event("changed", "a", {"authz"})));  // which is told once
    CHECK(filter.passes(event("changed", "a", {"VolumeDriver"})));
    CHECK(filter.passes(event("gone", "a")));
    CHECK_FALSE(filter.passes(event("gone", "a")));
    filter.learn(plugin("c", "active", {"VolumeDriver"}));
    CHECK(filter.passes(event("invalid", "c")));
    EventFilter everything{""};
    CHECK(everything.passes(event("discovered", "a")));
}

TEST_CASE("an HTTP/1.0 watcher gets the stream without chunks", "[control]") {
    ControlFixture broker;
    Client watcher = broker.connect();
    watcher.send("GET /broker/v1/events HTTP/1.0\r\n\r\n");
    const std::string head = watcher.receive_head();
    CHECK(head.find("chunked") == head.npos);
    CHECK(head.find("\r\nConnection: close\r\n") != head.npos);
    broker.publish(event("active", "mobyfs"));
    CHECK(next(watcher, false) == "active mobyfs");
}

TEST_CASE("a bad replay or method is refused", "[control]") {
    ControlFixture broker;
    Client client = broker.connect();
    for (const char* value : {"-1", "x", "", "1.5", "99999999999999999999999"}) {
        CHECK(client.get(std::string{"/broker/v1/events?replay="} + value).status == 400);
    }
    CHECK(client.request("HEAD", "/broker/v1/events").status == 405);
}

TEST_CASE("200 idle watchers hold no thread and delay nobody", "[control]") {
    ControlFixture broker;
    broker.add(plugin("mobyfs", "active", {"VolumeDriver"}));
    const std::size_t threads_before = thread_count(), descriptors_before = descriptor_count();
    {
        std::vector<Client> watchers;
        for (int i = 0; i < 200; ++i) watchers.push_back(watch(broker));
        CHECK(thread_count() == threads_before);
        Client client = broker.connect();
        for (int i = 0; i < 100; ++i) REQUIRE(client.get("/broker/v1/plugins").status == 200);
        broker.publish(event("active", "mobyfs", {"VolumeDriver"}));
        for (Client& watcher : watchers) REQUIRE(next(watcher) == "active mobyfs");
        CHECK(thread_count() == threads_before);
    }
    CHECK(eventually([&] { return descriptor_count() == descriptors_before; }));
}

TEST_CASE("watchers beyond the limit are refused, and it recovers", "[control]") {
    ControlServer::Settings settings;
    settings.limits.streams = 2;
    settings.limits.connections = 1;  // watchers do not count as connections
    ControlFixture broker{settings};
    Client first = watch(broker);
    {
        const Client second = watch(broker);
        CHECK(broker.connect().get("/broker/v1/events").status == 503);
    }
    CHECK(eventually([&] {
        Client third = broker.connect();
        third.send("GET /broker/v1/events HTTP/1.1\r\n\r\n");
        return third.receive_head().starts_with("HTTP/1.1 200");
    }));
}

TEST_CASE("a watcher that does not read is dropped, others are told everything", "[control]") {
    ControlFixture broker;
    Client slow = watch(broker), quick = watch(broker);
    const std::string detail(10'000, 'x');
    constexpr int kEvents = 200;  // 2 MB: more than the socket's buffer and the backlog together
    for (int i = 0; i < kEvents; ++i) {
        PluginEvent large = event("failed", "mobyfs");
        large.detail = detail;
        broker.publish(large);
        REQUIRE(next(quick) == "failed mobyfs");
    }
    CHECK(slow.receive_end());
    CHECK(broker.connect().get("/_ping").status == 200);
}

TEST_CASE("a watcher that only stops sending is still told", "[control]") {
    ControlFixture broker;
    Client watcher = watch(broker);
    watcher.end_output();
    broker.publish(event("active", "mobyfs"));
    CHECK(next(watcher) == "active mobyfs");
}
