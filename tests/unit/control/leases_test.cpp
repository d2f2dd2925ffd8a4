#include <unistd.h>

#include <catch2/catch.hpp>

#include "common/os/process_facts.h"
#include "tests/unit/control/control_fixture.h"

using namespace brokerd;
using namespace brokerd::test;

namespace {

constexpr const char* kLease = "/broker/v1/plugins/mobyfs/lease";

std::string post(const std::string& target) {
    return "POST " + target + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
}

/// A connection that holds a lease.
Client lease(ControlFixture& broker, const std::string& target = kLease) {
    Client client = broker.connect();
    client.send(post(target));
    CHECK(client.receive_head().starts_with("HTTP/1.1 200 OK\r\n"));
    const auto line = parse_json(client.receive_line());
    REQUIRE(line);
    CHECK(string_member(*line, "Plugin") == "mobyfs");
    CHECK((*line)["Pid"].GetInt() == ::getpid());
    return client;
}

std::size_t held(ControlFixture& broker, const std::string& plugin = "mobyfs") {
    return broker.on_loop([&] { return broker.core.leases().holders(plugin).size(); });
}

}  // namespace

TEST_CASE("a lease lasts as long as its connection", "[control]") {
    ControlFixture broker;
    broker.add(plugin("mobyfs", "active"));
    {
        const Client holder = lease(broker);
        REQUIRE(held(broker) == 1);
        const LeaseHolder shown = broker.on_loop([&] { return broker.core.leases().holders("mobyfs").front(); });
        CHECK(shown.pid == ::getpid());
        CHECK(shown.command == process_name(::getpid()));
        CHECK(shown.since != PluginView::Time{});
    }
    CHECK(eventually([&] { return held(broker) == 0; }));
}

TEST_CASE("a holder that stops sending gives its lease back", "[control]") {
    ControlFixture broker;
    broker.add(plugin("mobyfs", "active"));
    Client holder = lease(broker);
    holder.end_output();
    CHECK(holder.receive_end());
    CHECK(eventually([&] { return held(broker) == 0; }));
}

TEST_CASE("a watcher of events may stop sending", "[control]") {
    ControlFixture broker;
    Client watcher = broker.connect();
    watcher.send("GET /broker/v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(watcher.receive_head().starts_with("HTTP/1.1 200 OK\r\n"));
    watcher.end_output();
    broker.publish(event("gone", "mobyfs"));
    CHECK(watcher.receive_line().find("\"gone\"") != std::string::npos);
}

TEST_CASE("two hundred leases are held without a thread", "[control]") {
    ControlFixture broker;
    broker.add(plugin("mobyfs", "active"));
    const std::size_t threads = thread_count();
    std::vector<Client> holders;
    for (int i = 0; i < 200; ++i) holders.push_back(lease(broker));
    CHECK(held(broker) == 200);
    CHECK(thread_count() == threads);
    CHECK(broker.connect().get("/broker/v1/plugins").status == 200);
    holders.clear();
    CHECK(eventually([&] { return held(broker) == 0; }));
}

TEST_CASE("who cannot have a lease is told why", "[control]") {
    ControlFixture broker;
    PluginView disabled = plugin("vieux/sshfs:latest", "disabled");
    disabled.kind = "managed";
    disabled.enabled = false;
    broker.add(disabled);
    Client client = broker.connect();
    CHECK(client.post("/broker/v1/plugins/absent/lease").status == 404);
    const Reply refused = client.post("/broker/v1/plugins/vieux/sshfs:latest/lease");
    CHECK(refused.status == 409);
    CHECK(refused.message() ==
          "plugin vieux/sshfs:latest is disabled, so nobody can claim to use it: enable it first with "
          "\"pluginctl enable vieux/sshfs:latest\"");
    CHECK(client.post("/broker/v1/plugins/..%2Fx/lease").status == 400);
    CHECK(client.get("/broker/v1/plugins/x/lease").status != 200);
}

TEST_CASE("beyond the limit of streams no lease is held", "[control]") {
    ControlServer::Settings settings;
    settings.limits.streams = 1;
    ControlFixture broker{settings};
    broker.add(plugin("mobyfs", "active"));
    const Client holder = lease(broker);
    Client refused = broker.connect();
    CHECK(refused.post(kLease).status == 503);
    CHECK(eventually([&] { return held(broker) == 1; }));
}

TEST_CASE("a broker that stops lets its leases go", "[control]") {
    ControlFixture broker;
    broker.add(plugin("mobyfs", "active"));
    Client holder = lease(broker);
    broker.shut_down();
    CHECK(holder.receive_end());
}
