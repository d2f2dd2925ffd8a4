#include <catch2/catch.hpp>

#include "tests/unit/control/control_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
using namespace std::chrono_literals;

namespace {

std::vector<std::string> names(const Reply& reply) {
    std::vector<std::string> found;
    const rapidjson::Document document = reply.json();
    for (const auto& item : document["Plugins"].GetArray()) found.push_back(plugin_view_from_json(item).name);
    return found;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("plugins are listed by name and filtered", "[control]") {
    ControlFixture broker;
    broker.add(plugin("sshfs", "active", {"VolumeDriver"}));
    broker.add(plugin("mobyfs", "failed", {"VolumeDriver", "NetworkDriver"}));
    PluginView managed = plugin("vieux/sshfs:latest", "active", {"authz"});
    managed.kind = "managed";
    broker.add(managed);
    Client client = broker.connect();

    const Reply all = client.get("/broker/v1/plugins");
    CHECK(all.status == 200);
    CHECK(all.head.find("Content-Type: application/json\r\n") != all.head.npos);
    CHECK(names(all) == Names{"mobyfs", "sshfs", "vieux/sshfs:latest"});
    CHECK(names(client.get("/broker/v1/plugins?capability=VolumeDriver")) == Names{"mobyfs", "sshfs"});
    CHECK(names(client.get("/broker/v1/plugins?capability=VolumeDriver&state=active")) == Names{"sshfs"});
    CHECK(names(client.get("/broker/v1/plugins?kind=managed")) == Names{"vieux/sshfs:latest"});
    CHECK(names(client.get("/broker/v1/plugins?capability=Unheard")).empty());
    CHECK(client.get("/broker/v1/plugins?state=dead").status == 400);
    CHECK(client.get("/broker/v1/plugins?kind=").status == 400);
}

TEST_CASE("a look-up gives an active plugin, or the reason why not", "[control]") {
    ControlFixture broker;
    broker.add(plugin("vieux/sshfs:latest", "active", {"VolumeDriver"}));
    PluginView failed = plugin("mobyfs", "failed");
    failed.reason = "connection refused";
    broker.add(failed);
    broker.add(plugin("late", "activating"));
    Client client = broker.connect();

    for (const char* path : {"vieux/sshfs:latest", "vieux%2Fsshfs%3alatest"}) {
        const Reply found = client.get(std::string{"/broker/v1/plugins/"} + path + "?capability=VolumeDriver");
        CHECK(found.status == 200);
        CHECK(plugin_view_from_json(found.json()).name == "vieux/sshfs:latest");
    }
    const Reply lacking = client.get("/broker/v1/plugins/vieux/sshfs:latest?capability=NetworkDriver");
    CHECK(lacking.status == 409);
    CHECK(lacking.message() ==
          "plugin vieux/sshfs:latest does not implement NetworkDriver, it implements VolumeDriver");
    CHECK(broker.on_loop([&] { return broker.core.missing; }) == Names{"vieux/sshfs:latest NetworkDriver"});

    const Reply down = client.get("/broker/v1/plugins/mobyfs");
    CHECK(down.status == 503);
    CHECK(down.message().find("is not active but failed: connection refused") != std::string::npos);
    CHECK(client.get("/broker/v1/plugins/late").status == 503);
    CHECK(client.get("/broker/v1/plugins/absent").status == 404);
    CHECK(client.get("/broker/v1/plugins/absent?timeout=5").status == 404);
    CHECK(client.get("/broker/v1/plugins/..%2Fetc").status == 400);
    for (const char* timeout : {"", "-1", "1.5", "x", "301", "99999999999999999999"}) {
        CHECK(client.get(std::string{"/broker/v1/plugins/late?timeout="} + timeout).status == 400);
    }
}

TEST_CASE("a look-up with a timeout waits until the plugin is settled", "[control]") {
    ControlFixture broker;
    broker.add(plugin("late", "activating"));
    Client client = broker.connect(), other = broker.connect();
    client.send("GET /broker/v1/plugins/late?timeout=30 HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(eventually([&] { return broker.on_loop([&] { return broker.core.timeouts.size() == 1; }); }));
    CHECK(other.get("/_ping").status == 200);  // nobody else waits
    broker.on_loop([&] {
        CHECK(broker.core.timeouts.front() == 30s);
        broker.core.add(plugin("late", "active", {"VolumeDriver"}));
        broker.core.settle("late");
    });
    CHECK(client.receive().status == 200);
}

TEST_CASE("inspect shows a plugin in whatever state it is", "[control]") {
    ControlFixture broker;
    broker.add(plugin("a/b", "invalid"));
    Client client = broker.connect();
    const Reply reply = client.get("/broker/v1/plugins/a/b/json");
    CHECK(reply.status == 200);
    CHECK(plugin_view_from_json(reply.json()).state == "invalid");
    CHECK(client.get("/broker/v1/plugins/b/json").status == 404);
}

TEST_CASE("activate answers with the outcome", "[control]") {
    ControlFixture broker;
    broker.add(plugin("mobyfs", "failed"));
    Client client = broker.connect();
    for (const char* state : {"active", "failed"}) {
        client.send("POST /broker/v1/plugins/mobyfs/activate HTTP/1.1\r\n\r\n");  // no Content-Length: no body
        const std::size_t asked = state == std::string{"active"} ? 1 : 2;
        REQUIRE(eventually([&] { return broker.on_loop([&] { return broker.core.timeouts.size() == asked; }); }));
        broker.on_loop([&] {
            broker.core.add(plugin("mobyfs", state, {"VolumeDriver"}));
            broker.core.settle("mobyfs");
        });
        CHECK(client.receive().status == (asked == 1 ? 200 : 503));
    }
    CHECK(client.post("/broker/v1/plugins/absent/activate?timeout=1").status == 404);
    CHECK(client.post("/broker/v1/plugins/mobyfs/activate?timeout=never").status == 400);
}

TEST_CASE("doctor lists the findings", "[control]") {
    ControlFixture broker;
    broker.on_loop([&] { broker.core.findings = {{"mobyfs", "error", "unreachable", "f", "refused", "start it"}}; });
    const Reply reply = broker.connect().get("/broker/v1/doctor");
    CHECK(reply.status == 200);
    CHECK(finding_from_json(reply.json()["Findings"][0]).remedy == "start it");
}

TEST_CASE("system calls answer as Docker's clients expect", "[control]") {
    ControlFixture broker;
    Client client = broker.connect();
    for (const char* path : {"/_ping", "/v1.43/_ping"}) {
        const Reply ping = client.get(path);
        CHECK(ping.body == "OK");
        CHECK(ping.head.find("\r\nApi-Version: 1.50\r\n") != ping.head.npos);
        CHECK(ping.head.find("\r\nOSType: linux\r\n") != ping.head.npos);
        CHECK(ping.head.find("\r\nServer: brokerd/") != ping.head.npos);
        const Reply head = client.request("HEAD", path);
        CHECK(head.status == 200);
        CHECK(head.head.find("\r\nContent-Length: 2\r\n") != head.head.npos);
    }
    const Reply version = client.get("/version");
    CHECK(string_member(version.json(), "ApiVersion") == "1.50");
    CHECK(string_member(version.json(), "Version") == BROKERD_VERSION);
    CHECK(client.get("/broker/v1/healthz").body == R"({"Status":"ok"})");
}

TEST_CASE("what is not in the API gets 404, and a wrong method 405", "[control]") {
    ControlFixture broker;
    Client client = broker.connect();
    CHECK(client.get("/").status == 404);
    CHECK(client.get("/broker/v1/plugin").status == 404);
    CHECK_FALSE(client.get("/broker/v2/plugins").message().empty());
    const Reply wrong = client.post("/broker/v1/doctor");
    CHECK(wrong.status == 405);
    CHECK(wrong.head.find("\r\nAllow: GET\r\n") != wrong.head.npos);
    CHECK(client.request("DELETE", "/broker/v1/plugins/x").status == 405);
}

TEST_CASE("a failing core becomes 500, a silent one 503", "[control]") {
    {
        ControlFixture failing;
        failing.on_loop([&] { failing.core.throws = true; });
        const Reply failed = failing.connect().get("/broker/v1/plugins");
        CHECK(failed.status == 500);
        CHECK(failed.message().find("list is broken") != std::string::npos);
    }
    ControlServer::Settings settings;
    settings.limits.reply = 50ms;
    ControlFixture broker{settings};
    Client client = broker.connect();
    std::promise<void> release;
    broker.loop.post([held = release.get_future().share()] { held.wait(); });
    CHECK(client.get("/broker/v1/doctor").status == 503);
    CHECK(client.receive_end());
    CHECK(broker.connect().get("/_ping").status == 200);  // needs no core
    release.set_value();
    CHECK(eventually([&] { return broker.connect().get("/broker/v1/doctor").status == 200; }));
}
