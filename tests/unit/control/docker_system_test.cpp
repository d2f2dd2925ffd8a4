#include <catch2/catch.hpp>

#include "daemon/control/host_facts.h"
#include "tests/unit/control/control_fixture.h"

using namespace brokerd;
using namespace brokerd::test;

namespace {

/// A member of a member …, as it is written.
std::string at(const rapidjson::Value& value, std::initializer_list<const char*> path) {
    const rapidjson::Value* found = &value;
    for (const char* key : path) found = &(*found)[key];
    return json_text([&](JsonWriter& writer) { found->Accept(writer); });
}

}  // namespace

TEST_CASE("info tells the host, and the plugins in service by kind", "[control]") {
    ControlServer::Settings settings;
    settings.broker = {"/var/lib/brokerd", "/usr/sbin/crun", false};
    ControlFixture broker{settings};
    broker.add(plugin("sshfs", "active", {"VolumeDriver", "authz"}));
    broker.add(plugin("acme/net:1", "unhealthy", {"NetworkDriver", "IpamDriver"}));
    broker.add(plugin("acme/log:1", "running", {"LogDriver"}));
    broker.add(plugin("down", "failed", {"VolumeDriver"}));
    Client client = broker.connect();
    const Reply reply = client.get("/v1.41/info");
    REQUIRE(reply.status == 200);
    const auto info = reply.json();
    CHECK(at(info, {"Plugins"}) ==
          R"({"Volume":["sshfs"],"Network":["acme/net:1"],"Authorization":["sshfs"],"Log":["acme/log:1"]})");
    CHECK(at(info, {"DockerRootDir"}) == "\"/var/lib/brokerd\"");
    CHECK(at(info, {"DefaultRuntime"}) == "\"crun\"");
    CHECK(at(info, {"Runtimes", "crun", "path"}) == "\"/usr/sbin/crun\"");
    CHECK(at(info, {"LiveRestoreEnabled"}) == "false");
    CHECK(at(info, {"Swarm", "LocalNodeState"}) == "\"inactive\"");
    CHECK(at(info, {"OSType"}) == "\"linux\"");
    CHECK(info["NCPU"].GetInt() > 0);
    CHECK(info["MemTotal"].GetUint64() > 0);
    CHECK(info["Warnings"].Size() == 1);
    broker.on_loop([&] { broker.core.throws = true; });
    CHECK(client.get("/info").status == 500);
}

TEST_CASE("values of os-release are read as a shell does", "[control]") {
    const char* text = "# NAME=no\nNAME=\"A \\\"B\\\" \\$C\"\nID=debian\nX='y\\z'\nEMPTY=\nHALF=\"x\nLAST=end";
    CHECK(os_release_value(text, "NAME") == "A \"B\" $C");
    CHECK(os_release_value(text, "ID") == "debian");
    CHECK(os_release_value(text, "X") == "y\\z");
    CHECK(os_release_value(text, "LAST") == "end");
    for (const char* key : {"EMPTY", "I", "ABSENT", ""}) CHECK(os_release_value(text, key).empty());
    CHECK(os_release_value("", "ID").empty());
    CHECK(go_architecture("x86_64") == "amd64");
    CHECK(go_architecture("riscv64") == "riscv64");
}

TEST_CASE("what is a Docker engine's gets 501 at once, whatever is being sent", "[control]") {
    ControlFixture broker;
    Client client = broker.connect();
    for (const char* path : {"/containers/json", "/v1.24/images/json", "/system/df", "/auth", "/build", "/volumes",
                             "/distribution/a/b/json", "/grpc", "/session", "/swarm"}) {
        for (const char* method : {"GET", "POST", "DELETE", "PUT"}) {
            const Reply reply = client.request(method, path);
            CHECK(reply.status == 501);
            CHECK(reply.message().find("serves plugins only") != std::string::npos);
        }
        const Reply head = client.request("HEAD", path);
        CHECK(head.status == 501);
    }
    for (const char* path : {"/container", "/containersx/json", "/debug/vars", "/", "/v1.41/nothing"}) {
        const Reply reply = client.get(path);
        CHECK(reply.status == 404);
        CHECK(reply.message() == "page not found");
    }
    CHECK(client.get("/v1.23/containers/json").status == 400);
    CHECK(client.get("/v1.51/containers/json").status == 400);

    for (const char* head : {"POST /build HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
                             "POST /v1.41/build HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\nx",
                             "POST /build HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n\x1f\x8b",
                             "POST /build HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"}) {
        Client sending = broker.connect();
        sending.send(head);
        CHECK(sending.receive().status == 501);
        CHECK(sending.receive_end());
    }
    for (const char* head :
         {"POST /session HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
          "POST /grpc HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n"}) {
        Client upgrading = broker.connect();
        upgrading.send(head);
        CHECK(upgrading.receive().status == 501);
    }
}

TEST_CASE("events of the past need no core and no plugin; bad times and filters are refused", "[control]") {
    ControlFixture broker;
    Client client = broker.connect();
    CHECK(client.get("/v1.41/events?since=0&until=1.5").body.empty());
    CHECK(client.get("/events?until=1").status == 200);
    for (const char* query : {"since=x", "until=-", "since=1.x", "filters=x", "filters=%5B%5D"}) {
        const Reply reply = client.get(std::string{"/events?"} + query);
        CHECK(reply.status == 400);
        CHECK_FALSE(reply.message().empty());
    }
    const auto message = [&](const std::string& path, const std::string& filters) {
        const Reply reply = client.get(path + "?until=1&filters=" + filters);
        CHECK(reply.status == 400);
        return reply.message();
    };
    for (const char* path : {"/events", "/plugins"}) {
        std::string values = "\"a\"";
        for (int i = 1; i < 256; ++i) values += ",\"a\"";
        const std::string key = std::string{path} == "/events" ? "plugin" : "capability";
        CHECK(client.get(path + ("?until=1&filters={\"" + key + "\":[" + values + "]}")).status == 200);
        CHECK(message(path, "{\"" + key + "\":[" + values + "],\"x\":{\"a\":true}}") ==
              "invalid filter: it has 257 values, and 256 is the limit: use fewer");
        CHECK(message(path, "{\"" + key + "\":[\"" + std::string(8200, 'x') + "\"]}").find("8192 is the limit") !=
              std::string::npos);
    }
    for (const char* time : {"9223372036", "9999999999", "9223372036854775807", "9999-12-31T23:59:59Z"})
        CHECK(client.get(std::string{"/events?until=1&since="} + time).status == 400);  // after the end, but a time
    CHECK(client.get("/events?since=9999999999&until=1").message() ==
          "`since` time (9999999999) cannot be after `until` time (1)");
    CHECK(client.get("/events?since=2&until=1").message() == "`since` time (2) cannot be after `until` time (1)");
    CHECK(client.request("HEAD", "/events").status == 404);
}
