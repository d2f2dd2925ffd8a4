#include "common/managed_client.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <catch2/catch.hpp>

#include "tests/unit/common/scripted_server.h"

namespace brokerd {
namespace {

using Kind = ClientError::Kind;

std::string chunked(const std::string& body, const std::string& fields = "") {
    return "HTTP/1.1 200 OK\r\n" + fields + "Transfer-Encoding: chunked\r\n\r\n" + ScriptedServer::chunk(body) +
           ScriptedServer::chunk("");
}

std::string first_line(const ScriptedServer& server) {
    const std::string request = server.requests().at(0);
    return request.substr(0, request.find('\r'));
}

std::string body_of(const std::string& request) {
    return request.substr(request.find("\r\n\r\n") + 4);
}

UniqueFd file_with(const std::string& bytes) {
    UniqueFd file{::memfd_create("body", MFD_CLOEXEC)};
    REQUIRE(::write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    REQUIRE(::lseek(file.get(), 0, SEEK_SET) == 0);
    return file;
}

const ManagedClient::ProgressHandler kIgnored = [](const ProgressMessage&) {};
const ManagedClient::Privileges kHostNetwork{{"network", "d", {"host"}}};

TEST_CASE("privileges are read from a registry's answer", "[client]") {
    const ScriptedServer server{ScriptedServer::reply(
        200, R"([{"Name":"network","Description":"d","Value":["host"]},{"Name":"mount","Value":["/a","/b"]}])")};
    const auto privileges = ManagedClient{server.path()}.remote_privileges("docker.io/vieux/sshfs", "c2VjcmV0");
    REQUIRE(privileges);
    REQUIRE(privileges->size() == 2);
    CHECK(privileges->at(0) == kHostNetwork.at(0));
    CHECK(privileges->at(1).value == std::vector<std::string>{"/a", "/b"});
    CHECK(first_line(server) == "GET /plugins/privileges?remote=docker.io%2Fvieux%2Fsshfs HTTP/1.1");
    CHECK_THAT(server.requests().at(0), Catch::Contains("\r\nX-Registry-Auth: c2VjcmV0\r\n"));
}

TEST_CASE("what is no list of privileges is not taken for none", "[client]") {
    for (const char* body : {"{}", "", "[7]", "[{}]", R"([{"Name":"network"},null])", R"({"Privileges":[]})"}) {
        CAPTURE(body);
        const ScriptedServer server{ScriptedServer::reply(200, body)};
        const auto privileges = ManagedClient{server.path()}.remote_privileges("x", "");
        REQUIRE_FALSE(privileges);
        CHECK(privileges.error().kind == Kind::no_answer);
    }
    for (const char* body : {"null", "[]"}) {
        CAPTURE(body);
        const ScriptedServer server{ScriptedServer::reply(200, std::string{R"({"Privileges":)"} + body + "}")};
        const auto privileges = ManagedClient{server.path()}.granted_privileges("a/b");
        REQUIRE(privileges);
        CHECK(privileges->empty());
        CHECK(first_line(server) == "GET /broker/v1/plugins/a/b/privileges HTTP/1.1");
    }
}

TEST_CASE("a pull sends what is granted, reports, and tells the name", "[client]") {
    const ScriptedServer server{
        chunked("{\"status\":\"Downloading\",\"id\":\"a\",\"progressDetail\":{\"current\":5,\"total\":10}}\r\n"
                "{\"status\":\"Digest: x\"}\r\n\r\n{\"progressDetail\":{}}\r\n",
                "Docker-Plugin-Name: v/s:latest\r\n")};
    std::vector<ProgressMessage> seen;
    const auto name = ManagedClient{server.path()}.pull(
        "docker.io/v/s", "x:y", kHostNetwork, "", [&](const ProgressMessage& message) { seen.push_back(message); }, -1);
    REQUIRE(name);
    CHECK(*name == "v/s:latest");
    REQUIRE(seen.size() == 2);
    CHECK(seen[0].id == "a");
    CHECK(seen[0].current == 5);
    CHECK(seen[0].total == 10);
    CHECK(seen[1].status == "Digest: x");
    CHECK(first_line(server) == "POST /plugins/pull?remote=docker.io%2Fv%2Fs&name=x%3Ay HTTP/1.1");
    CHECK(body_of(server.requests().at(0)) == R"([{"Name":"network","Description":"d","Value":["host"]}])");
    CHECK(server.requests().at(0).find("X-Registry-Auth") == std::string::npos);
}

TEST_CASE("an error while the work goes on is the outcome", "[client]") {
    const auto outcome = [](const std::string& answer) {
        const ScriptedServer server{answer};
        return ManagedClient{server.path()}.push("a", "", kIgnored, -1);
    };
    const auto failed =
        outcome(chunked("{\"status\":\"x\"}\n{\"errorDetail\":{\"message\":\"no\"},\"error\":\"no\"}\n"));
    REQUIRE_FALSE(failed);
    CHECK(failed.error().kind == Kind::answered);
    CHECK(failed.error().message == "no");
    CHECK(outcome(chunked("{\"error\":\"only this\"}\n")).error().message == "only this");
    CHECK(outcome(chunked("nonsense\n")).error().kind == Kind::no_answer);
    CHECK(outcome(chunked(std::string(9u << 20, 'x'))).error().kind == Kind::no_answer);
    CHECK(outcome(ScriptedServer::reply(501, R"({"message":"later"})")).error().message == "later");
    const std::string cut = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + ScriptedServer::chunk("{}\n");
    CHECK(outcome(cut).error().kind == Kind::no_daemon);
}

TEST_CASE("a body is sent in chunks, whole", "[client]") {
    const std::string bytes = std::string(300'000, 'a') + "end";
    const ScriptedServer server{ScriptedServer::reply(204, "")};
    const UniqueFd file = file_with(bytes);
    REQUIRE(ManagedClient{server.path()}.create("v/s", {file.get(), {}}, -1));
    CHECK(first_line(server) == "POST /plugins/create?name=v%2Fs HTTP/1.1");
    CHECK_THAT(server.requests().at(0), Catch::Contains("\r\nContent-Type: application/x-tar\r\n"));
    std::string sent = body_of(server.requests().at(0)), joined;
    for (std::size_t size = 1; size != 0;) {
        const std::size_t line = sent.find("\r\n");
        size = std::stoul(sent.substr(0, line), nullptr, 16);
        joined += sent.substr(line + 2, size);
        sent.erase(0, line + 2 + size + 2);
    }
    CHECK(joined == bytes);
}

TEST_CASE("a body that is not whole is not ended, so that nobody takes it for whole", "[client]") {
    const ScriptedServer server{ScriptedServer::reply(204, "")};
    const UniqueFd file = file_with("half");
    const auto done = ManagedClient{server.path()}.create("a", {file.get(), [] { return "tar failed"; }}, -1);
    REQUIRE_FALSE(done);
    CHECK(done.error().kind == Kind::not_sent);
    CHECK(done.error().message == "tar failed");
    CHECK(server.requests().empty());
    const UniqueFd directory{::open("/", O_RDONLY | O_CLOEXEC)};
    const auto unreadable = ManagedClient{server.path()}.create("a", {directory.get(), {}}, -1);
    REQUIRE_FALSE(unreadable);
    CHECK(unreadable.error().kind == Kind::not_sent);
}

TEST_CASE("a refusal in the middle of a body is the outcome", "[client]") {
    const ScriptedServer server{
        ScriptedServer::Answer{ScriptedServer::reply(409, R"({"message":"name in use"})"), true, false}};
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const UniqueFd reader{ends[0]}, writer{ends[1]};  // a body without end
    const auto done = ManagedClient{server.path()}.create("a", {reader.get(), {}}, -1);
    REQUIRE_FALSE(done);
    CHECK(done.error().status == 409);
    CHECK(done.error().message == "name in use");
}

TEST_CASE("an interrupt ends the work at once", "[client]") {
    const ScriptedServer server{ScriptedServer::Answer{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true}};
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const UniqueFd reader{ends[0]}, writer{ends[1]};
    REQUIRE(::write(writer.get(), "x", 1) == 1);
    const auto end = ManagedClient{server.path()}.push("a", "", kIgnored, reader.get());
    REQUIRE_FALSE(end);
    CHECK(end.error().kind == Kind::interrupted);
}

TEST_CASE("a loaded image is described, and installed as described", "[client]") {
    const ScriptedServer server{ScriptedServer::Script{[](const std::string& request) -> ScriptedServer::Answer {
        if (request.find("/load ") == std::string::npos) {
            return {ScriptedServer::reply(201, R"({"Id":"1","Name":"v/s:latest"})")};
        }
        return {
            chunked("{\"status\":\"x\"}\n{\"aux\":{\"Digest\":\"sha256:1\",\"Reference\":\"v/s:latest\",\"Privileges\":"
                    "[{\"Name\":\"network\",\"Description\":\"d\",\"Value\":[\"host\"]}],\"Settings\":[\"A=1\"]}}\n")};
    }}};
    const ManagedClient client{server.path()};
    const UniqueFd file = file_with("tar");
    const auto staged = client.load({file.get(), {}}, kIgnored, -1);
    REQUIRE(staged);
    CHECK(staged->reference == "v/s:latest");
    CHECK(staged->privileges == kHostNetwork);
    CHECK(*client.install_staged(*staged, "x") == "v/s:latest");
    CHECK_THAT(server.requests().at(1), Catch::StartsWith("POST /broker/v1/plugins/install?digest=sha256%3A1&name=x "));
    CHECK(body_of(server.requests().at(1)) ==
          R"({"Privileges":[{"Name":"network","Description":"d","Value":["host"]}],"Settings":["A=1"]})");
    const ScriptedServer silent{chunked("{\"status\":\"x\"}\n")};
    const UniqueFd again = file_with("tar");
    CHECK(ManagedClient{silent.path()}.load({again.get(), {}}, kIgnored, -1).error().kind == Kind::no_answer);
}

TEST_CASE("small requests have their paths and bodies", "[client]") {
    const auto asked = [](const auto& ask) {
        const ScriptedServer server{ScriptedServer::reply(200, "{}")};
        ask(ManagedClient{server.path()});
        return first_line(server) + " " + body_of(server.requests().at(0));
    };
    CHECK(asked([](const ManagedClient& client) {
              (void)client.set("a/b:c", {"K=V", "L="});
          }) == R"(POST /plugins/a/b:c/set HTTP/1.1 ["K=V","L="])");
    CHECK(asked([](const ManagedClient& client) { (void)client.enable("a", std::chrono::seconds{30}); }) ==
          "POST /plugins/a/enable?timeout=30 HTTP/1.1 ");
    CHECK(asked([](const ManagedClient& client) { (void)client.remove("a/../b", false); }) ==
          "DELETE /plugins/a/%2E%2E/b HTTP/1.1 ");
    CHECK(asked([](const ManagedClient& client) { (void)client.remove("a", true); }) ==
          "DELETE /plugins/a?force=1 HTTP/1.1 ");
    CHECK(asked([](const ManagedClient& client) { (void)client.upgrade("a", "b", {}, "", kIgnored, -1); }) ==
          "POST /plugins/a/upgrade?remote=b HTTP/1.1 []");
    CHECK(asked([](const ManagedClient& client) { (void)client.import("/x", kIgnored, -1); }) ==
          R"(POST /broker/v1/plugins/import HTTP/1.1 {"Path":"/x"})");
    CHECK(asked([](const ManagedClient& client) { (void)client.prune(); }) == "POST /broker/v1/prune HTTP/1.1 ");
}

}  // namespace
}  // namespace brokerd
