#include <fcntl.h>

#include <catch2/catch.hpp>

#include "tests/unit/cli/run_cli.h"
#include "tests/unit/common/scripted_server.h"

namespace brokerd::cli {
namespace {

const std::string kPlugins = R"({"Plugins":[
    {"Name":"a/b:latest","Kind":"legacy","State":"active","Implements":["VolumeDriver","NetworkDriver"],"Endpoint":"tcp://1.2.3.4:5"},
    {"Name":"evil\u001b[2J","Kind":"legacy","State":"failed","Reason":"one two three four five six seven eight nine ten eleven twelve"}
]})";

TEST_CASE("ls shows a table, names, JSON or a template", "[cli]") {
    const ScriptedServer server{ScriptedServer::reply(200, kPlugins)};
    const std::string host = server.path();
    const std::string blanks(54, ' ');
    CHECK(run_cli({"ls"}, host).out ==
          "NAME          KIND     IMPLEMENTS                   STATUS" + blanks + "   ENDPOINT\n" +
              "a/b:latest    legacy   VolumeDriver,NetworkDriver   active" + blanks + "   tcp://1.2.3.4:5\n" +
              "evil\\x1b[2J   legacy   -                            "
              "failed: one two three four five six seven eight nine ten el…   -\n");
    CHECK_THAT(run_cli({"ls", "--no-trunc"}, host).out, Catch::Contains("eleven twelve"));
    CHECK(run_cli({"ls", "-q"}, host).out == "a/b:latest\nevil\\x1b[2J\n");
    CHECK(run_cli({"ls", "-q", "--filter", "state=failed"}, host).out == "evil\\x1b[2J\n");
    CHECK(run_cli({"ls", "--format", "{{.Name}}\\t{{.Status}}", "-fname=a/b"}, host).out == "a/b:latest\tactive\n");
    const std::string json = run_cli({"ls", "--format", "json"}, host).out;
    CHECK(std::count(json.begin(), json.end(), '\n') == 2);
    CHECK(json.find('\x1b') == std::string::npos);
}

TEST_CASE("ls without plugins is a heading", "[cli]") {
    const ScriptedServer server{ScriptedServer::reply(200, R"({"Plugins":[]})")};
    CHECK(run_cli({"ls"}, server.path()).out == "NAME   KIND   IMPLEMENTS   STATUS   ENDPOINT\n");
    CHECK(run_cli({"ls", "-q"}, server.path()).out.empty());
}

TEST_CASE("inspect prints those that exist and reports the others", "[cli]") {
    const ScriptedServer server{ScriptedServer::Script{[](const std::string& request) -> ScriptedServer::Answer {
        if (request.find("/none/") != std::string::npos)
            return {ScriptedServer::reply(404, R"({"message":"no plugin none"})")};
        return {ScriptedServer::reply(200, R"({"Name":"a","New":{"x":1.10}})")};
    }}};
    const Ran ran = run_cli({"inspect", "a", "none", "b"}, server.path());
    CHECK(ran.status == 1);
    CHECK(ran.err == "pluginctl inspect: no plugin none\n");
    const std::string one =
        "    {\n        \"Name\": \"a\",\n        \"New\": {\n            \"x\": 1.10\n        }\n    }";
    CHECK(ran.out == "[\n" + one + ",\n" + one + "\n]\n");
    CHECK(run_cli({"inspect", "none"}, server.path()).out == "[]\n");
    CHECK(run_cli({"inspect", "--format", "{{.Name}}", "a", "b"}, server.path()).out == "a\na\n");
}

TEST_CASE("call passes the body on and the answer back", "[cli]") {
    const ScriptedServer server{ScriptedServer::reply(200, "{\"Volumes\": [ ]}\n")};
    const auto sent = [&](const char* body, const std::string& input = "") {
        std::vector<const char*> arguments{"call", "a", "VolumeDriver.List"};
        if (body != nullptr) arguments.push_back(body);
        const Ran ran = run_cli(arguments, server.path(), input);
        CHECK(ran.status == 0);
        CHECK(ran.out == "{\"Volumes\": [ ]}\n");
        const std::string request = server.requests().back();
        return request.substr(request.find("\r\n\r\n") + 4);
    };
    CHECK(sent(nullptr) == "{}");
    CHECK(sent("{}") == "{}");
    CHECK(sent("") == "");
    CHECK(sent("[1,2]") == "[1,2]");
    CHECK(sent(R"({"Name":"x, y"})") == R"({"Name":"x, y"})");
    CHECK(sent("-", "{\"from\":\"stdin\"}") == "{\"from\":\"stdin\"}");

    const UniqueFd file{::memfd_create("body", 0)};
    REQUIRE(::write(file.get(), "[7]", 3) == 3);
    CHECK(sent(("@/proc/self/fd/" + std::to_string(file.get())).c_str()) == "[7]");
    CHECK(run_cli({"call", "a", "X.Y", "@/nowhere/at/all"}, server.path()).status == 1);
    CHECK(run_cli({"call", "a", "X.Y", "@/dev/zero"}, server.path()).status == 1);
}

TEST_CASE("call fails where the plugin or the daemon refuses", "[cli]") {
    const auto refused = [](int status, const std::string& body, const std::string& words) {
        const ScriptedServer server{ScriptedServer::reply(status, body)};
        const Ran ran = run_cli({"call", "a", "X.Y"}, server.path());
        CHECK(ran.status == 1);
        CHECK(ran.out == body);
        CHECK(ran.err == "pluginctl call: X.Y of a: " + words + "\n");
    };
    refused(200, R"({"Err":"no such volume"})", "no such volume");
    refused(500, R"({"Err":"two\nlines\u001b"})", "two\\x0alines\\x1b");
    refused(404, R"({"message":"no plugin a"})", "no plugin a");
    refused(502, "<html>", "the answer has status 502");
    const ScriptedServer fine{ScriptedServer::reply(200, R"({"message":"hello","Err":""})")};
    CHECK(run_cli({"call", "a", "X.Y"}, fine.path()).status == 0);
}

TEST_CASE("a plugin's answer may be nested without end", "[cli]") {
    const ScriptedServer server{ScriptedServer::reply(200, std::string(4u << 20, '['))};
    CHECK(run_cli({"call", "a", "X.Y"}, server.path()).status == 0);
    const ScriptedServer closed{ScriptedServer::reply(200, std::string(1u << 20, '[') + std::string(1u << 20, ']'))};
    CHECK(run_cli({"call", "a", "X.Y"}, closed.path()).status == 0);
}

TEST_CASE("events are a line each, and end with 125 when the daemon goes away", "[cli]") {
    const std::string event =
        R"({"Sequence":7,"Time":"2026-01-02T03:04:05.000000006Z","Action":"active","Plugin":"a","Implements":["X","Y"],"Detail":"b\u001b"})";
    const ScriptedServer server{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
                                ScriptedServer::chunk(event + "\n")};
    const Ran ran = run_cli({"events", "--since", "5"}, server.path());
    CHECK(ran.status == 125);
    CHECK(ran.out == "2026-01-02T03:04:05.000000006Z active a (X,Y): b\\x1b\n");
    CHECK_THAT(ran.err, Catch::Contains("lost brokerd"));
    CHECK(run_cli({"events", "--format", "{{.Sequence}} {{.Plugin}}"}, server.path()).out == "7 a\n");
    CHECK_THAT(run_cli({"events", "--format", "json"}, server.path()).out, Catch::StartsWith("{\"Sequence\":7,"));
}

TEST_CASE("doctor names the trouble and what to do", "[cli]") {
    const std::string warning = R"({"Plugin":"b","Severity":"warning","Problem":"shadowed","Cause":"c","Remedy":"r"})";
    const std::string error =
        R"({"Plugin":"a","Severity":"error","Problem":"unreachable","File":"/f","Cause":"nobody","Remedy":"start it"})";
    const ScriptedServer both{ScriptedServer::reply(200, "{\"Findings\":[" + error + "," + warning + "]}")};
    const Ran sick = run_cli({"doctor"}, both.path());
    CHECK(sick.status == 1);
    CHECK(sick.out ==
          "error: a: unreachable\n  nobody\n  file: /f\n  → start it\n\nwarning: b: shadowed\n  c\n  → r\n");
    CHECK(run_cli({"doctor", "--format", "{{.Plugin}}"}, both.path()).out == "a\nb\n");
    CHECK(run_cli({"doctor", "--format", "json"}, both.path()).status == 1);

    const ScriptedServer mild{ScriptedServer::reply(200, "{\"Findings\":[" + warning + "]}")};
    CHECK(run_cli({"doctor"}, mild.path()).status == 0);

    const ScriptedServer well{ScriptedServer::reply(200, R"({"Findings":[],"Plugins":[{"Name":"a"},{"Name":"b"}]})")};
    CHECK(run_cli({"doctor"}, well.path()).out == "No problems found (2 plugins)\n");
    CHECK(run_cli({"doctor", "--format", "json"}, well.path()).out.empty());
}

TEST_CASE("activate prints the name, or why not", "[cli]") {
    const ScriptedServer fine{ScriptedServer::reply(200, R"({"Name":"a","State":"active"})")};
    CHECK(run_cli({"activate", "a", "--timeout", "5"}, fine.path()).out == "a\n");
    CHECK(fine.requests().at(0).find("POST /broker/v1/plugins/a/activate?timeout=5 ") == 0);
    const ScriptedServer failed{ScriptedServer::reply(503, R"({"message":"a is not active: refused"})")};
    const Ran ran = run_cli({"activate", "a"}, failed.path());
    CHECK(ran.status == 1);
    CHECK(ran.err == "pluginctl activate: a is not active: refused\n");
}

TEST_CASE("version shows both sides, or its own", "[cli]") {
    const ScriptedServer server{
        ScriptedServer::reply(200, R"({"Version":"9.8","ApiVersion":"1.50","Os":"linux","Arch":"amd64"})")};
    CHECK_THAT(run_cli({"version"}, server.path()).out, Catch::Contains("Server: brokerd/9\n Version:        9.8\n"));
    CHECK(run_cli({"version", "--format", "{{.Server.Version}} {{.Client.Os}}"}, server.path()).out == "9.8 linux\n");
    const SocketPath nowhere;
    const Ran ran = run_cli({"version"}, nowhere.str());
    CHECK(ran.status == 125);
    CHECK_THAT(ran.out, Catch::StartsWith("Client:\n Version:"));
    CHECK_THAT(run_cli({"version", "--format", "json"}, nowhere.str()).out, Catch::EndsWith("\"Server\":null}\n"));
}

}  // namespace
}  // namespace brokerd::cli
