#include "common/client.h"

#include <catch2/catch.hpp>

#include "tests/unit/common/scripted_server.h"

namespace brokerd {
namespace {

using namespace std::chrono_literals;
using Kind = ClientError::Kind;

std::string first_line(const ScriptedServer& server) {
    const std::string request = server.requests().at(0);
    return request.substr(0, request.find('\r'));
}

ScriptedServer::Answer stream_of(const std::string& body, bool hold) {
    return {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body, hold};
}

TEST_CASE("plugins are read from the daemon's list", "[client]") {
    const ScriptedServer server{ScriptedServer::reply(
        200, R"({"Plugins":[{"Name":"a","State":"active","Implements":["VolumeDriver"],"New":1},7,{"Name":"b"}]})")};
    const auto plugins = ControlClient{server.path()}.plugins();
    REQUIRE(plugins);
    REQUIRE(plugins->size() == 2);
    CHECK(plugins->at(0).implements == std::vector<std::string>{"VolumeDriver"});
    CHECK(plugins->at(1).name == "b");
    CHECK(first_line(server) == "GET /broker/v1/plugins HTTP/1.1");
}

TEST_CASE("each question has its path", "[client]") {
    const auto asked = [](const auto& ask) {
        const ScriptedServer server{ScriptedServer::reply(200, "{}")};
        ask(ControlClient{server.path()});
        return first_line(server);
    };
    CHECK(asked([](const ControlClient& client) { (void)client.inspect("vieux/sshfs:latest"); }) ==
          "GET /broker/v1/plugins/vieux/sshfs:latest/json HTTP/1.1");
    CHECK(asked([](const ControlClient& client) { (void)client.activate("a b", 7s); }) ==
          "POST /broker/v1/plugins/a%20b/activate?timeout=7 HTTP/1.1");
    CHECK(asked([](const ControlClient& client) { (void)client.call("a", "VolumeDriver.List", "{}"); }) ==
          "POST /broker/v1/plugins/a/rpc/VolumeDriver.List HTTP/1.1");
    CHECK(asked([](const ControlClient& client) { (void)client.doctor(); }) == "GET /broker/v1/doctor HTTP/1.1");
    CHECK(asked([](const ControlClient& client) { (void)client.version(); }) == "GET /version HTTP/1.1");
    const auto ignore = [](const PluginEvent&) { return true; };
    CHECK(asked([&](const ControlClient& client) {
              (void)client.events({"VolumeDriver", "5"}, ignore, -1);
          }) == "GET /broker/v1/events?capability=VolumeDriver&replay=5 HTTP/1.1");
    CHECK(asked([&](const ControlClient& client) {
              (void)client.events({"", "active"}, ignore, -1);
          }) == "GET /broker/v1/events?replay=active HTTP/1.1");
}

TEST_CASE("a refusal carries the daemon's words", "[client]") {
    const auto refused = [](int status, const std::string& body) {
        const ScriptedServer server{ScriptedServer::reply(status, body)};
        const auto plugins = ControlClient{server.path()}.plugins();
        REQUIRE_FALSE(plugins);
        CHECK(plugins.error().kind == Kind::answered);
        CHECK(plugins.error().status == status);
        return plugins.error().message;
    };
    CHECK(refused(404, R"({"message":"no plugin x"})") == "no plugin x");
    CHECK(refused(502, R"({"Err":"gone"})") == "gone");
    CHECK(refused(500, "<html>") == "brokerd answered with status 500");
    CHECK(refused(301, "") == "brokerd answered with status 301");
}

TEST_CASE("an answer that is not the API's is an error, never a crash", "[client]") {
    for (const std::string& body :
         {std::string{}, std::string{"not JSON"}, std::string{"[]"}, std::string{"{\"Plugins\":"},
          "{\"a\":\"\xff\"}" + std::string{}, std::string(1u << 20, '['),
          R"({"a":)" + std::string(5000, '[') + std::string(5000, ']') + "}"}) {
        CAPTURE(body.substr(0, 20));
        const ScriptedServer server{ScriptedServer::reply(200, body)};
        const auto plugins = ControlClient{server.path()}.plugins();
        REQUIRE_FALSE(plugins);
        CHECK(plugins.error().kind == Kind::no_answer);
        CHECK_FALSE(ControlClient{server.path()}.inspect("x"));
    }
    for (const char* body : {"{}", R"({"Plugins":null})", R"({"Plugins":{}})", R"({"Plugins":["x",[],null]})"}) {
        const ScriptedServer server{ScriptedServer::reply(200, body)};
        const auto plugins = ControlClient{server.path()}.plugins();
        REQUIRE(plugins);
        CHECK(plugins->empty());
    }
}

TEST_CASE("brackets in a string are not depth", "[client]") {
    const std::string name = std::string(500, '[') + R"(\")" + std::string(500, '{');
    const ScriptedServer server{ScriptedServer::reply(200, R"({"Plugins":[{"Name":")" + name + R"("}]})")};
    CHECK(ControlClient{server.path()}.plugins()->size() == 1);
}

TEST_CASE("a daemon that is not there comes with what to do", "[client]") {
    const SocketPath path;
    const ControlClient client{path.str()};
    CHECK(client.plugins().error().kind == Kind::no_daemon);
    CHECK_THAT(client.plugins().error().message,
               Catch::Contains(path.str()) && Catch::Contains("systemctl start brokerd"));
    const UniqueFd bound = path.bind();
    CHECK(client.doctor().error().kind == Kind::no_daemon);
    CHECK_THAT(client.doctor().error().message, Catch::Contains("systemctl start brokerd"));
}

TEST_CASE("a plugin's refusal is an answer to a call", "[client]") {
    const ScriptedServer server{ScriptedServer::reply(500, R"({"Err":"no such volume"})")};
    const auto reply = ControlClient{server.path()}.call("a", "VolumeDriver.Get", R"({"Name":"x"})");
    REQUIRE(reply);
    CHECK(reply->status == 500);
    CHECK(reply->body == R"({"Err":"no such volume"})");
    const std::string request = server.requests().at(0);
    CHECK(request.substr(request.find("\r\n\r\n") + 4) == R"({"Name":"x"})");
}

TEST_CASE("events are lines, however they are cut", "[client]") {
    const std::string body = ScriptedServer::chunk("{\"Plu") +
                             ScriptedServer::chunk("gin\":\"a\"}\n\n{\"Plugin\":\"b\"}") +
                             ScriptedServer::chunk("\n \r\n{\"Plugin\":\"c\"}\n");
    const ScriptedServer server{stream_of(body, true)};
    std::string seen;
    const auto end = ControlClient{server.path()}.events(
        {},
        [&](const PluginEvent& event) {
            seen += event.plugin;
            return event.plugin != "c";
        },
        -1);
    CHECK(end);
    CHECK(seen == "abc");
}

TEST_CASE("events end with an error when the daemon goes away", "[client]") {
    const auto ignore = [](const PluginEvent&) { return true; };
    const std::string one = ScriptedServer::chunk("{\"Plugin\":\"a\"}\n");
    for (const std::string& body : {one, one + ScriptedServer::chunk("")}) {
        const ScriptedServer server{stream_of(body, false)};
        const auto end = ControlClient{server.path()}.events({}, ignore, -1);
        REQUIRE_FALSE(end);
        CHECK(end.error().kind == Kind::no_daemon);
    }
}

TEST_CASE("events that are nonsense, endless or refused end the stream", "[client]") {
    const auto ignore = [](const PluginEvent&) { return true; };
    const auto end_of = [&](const ScriptedServer::Answer& answer) {
        const ScriptedServer server{answer};
        return ControlClient{server.path()}.events({}, ignore, -1).error().kind;
    };
    CHECK(end_of(stream_of(ScriptedServer::chunk("hello\n"), true)) == Kind::no_answer);
    CHECK(end_of(stream_of(ScriptedServer::chunk(std::string(3u << 20, '{')), true)) == Kind::no_answer);
    CHECK(end_of({ScriptedServer::reply(400, R"({"message":"bad replay"})")}) == Kind::answered);
}

TEST_CASE("a host is a Unix socket", "[client]") {
    CHECK(*control_socket_of("unix:///run/x.sock") == "/run/x.sock");
    CHECK(*control_socket_of("/run/x.sock") == "/run/x.sock");
    CHECK(*control_socket_of("x.sock") == "x.sock");
    CHECK_THAT(control_socket_of("tcp://host:2375").error().message, Catch::Contains("ssh://[USER@]HOST"));
    for (const char* host : {"", "unix://", "tcp://127.0.0.1:2375", "http://x"}) {
        CAPTURE(host);
        CHECK_FALSE(control_socket_of(host));
    }
}

}  // namespace
}  // namespace brokerd
