#include <catch2/catch.hpp>

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>

#include "daemon/control/control_socket.h"
#include "daemon/control/docker_events.h"
#include "daemon/control/routes.h"
#include "tests/unit/control/control_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
using namespace std::chrono_literals;

namespace {

const std::string kId(64, 'a');

bool passes(const std::string& filters, const DockerEvent& event) {
    const auto filter = DockerEventFilter::parse(filters);
    REQUIRE(filter);
    return filter->passes(event);
}

using Time = std::chrono::system_clock::time_point;

/// A server whose every request watches events from the first to the second time, if they are given: GET /SINCE/UNTIL,
/// in nanoseconds since 1970.
class EventServer {
public:
    EventServer()
        : path_{directory_.path("s.sock")}, server_{listening(path_), {::geteuid(), {}}, {}}, events{server_} {
        server_.start([this](const ControlRequest& request, const Exchange& exchange) {
            const auto path = match_path("/{since}/{until}", request.path);
            events.watch(exchange, {time(path->at("since")), time(path->at("until")), {}});
        });
    }
    ~EventServer() { server_.stop(); }

    /// A client that has sent its request.
    [[nodiscard]] Client watch(std::optional<Time> since, std::optional<Time> until,
                               const char* protocol = "HTTP/1.1") const {
        Client client{path_};
        client.send(request(since, until, protocol));
        return client;
    }
    static std::string request(std::optional<Time> since, std::optional<Time> until, const char* protocol) {
        const auto text = [](std::optional<Time> time) {
            return time ? std::to_string(time->time_since_epoch().count()) : std::string{"-"};
        };
        return "GET /" + text(since) + "/" + text(until) + " " + protocol + "\r\n\r\n";
    }

private:
    static std::optional<Time> time(const std::string& text) {
        if (text == "-") return std::nullopt;
        return Time{std::chrono::nanoseconds{std::stoll(text)}};
    }
    static UniqueFd listening(const std::string& path) {
        auto socket = bind_control_socket(path, std::nullopt);
        REQUIRE(socket);
        return *std::move(socket);
    }

    SocketDirectory directory_;
    std::string path_;
    HttpServer server_;

public:
    DockerEvents events;
};

Time now() {
    return std::chrono::system_clock::now();
}

std::string action_of(const std::string& line) {
    auto document = parse_json(line);
    REQUIRE(document);
    return string_member(*document, "Action");
}

}  // namespace

TEST_CASE("an event is written as Docker writes it", "[control]") {
    const DockerEvent event{"enable", kId, "acme/\"x\"", std::chrono::system_clock::time_point{1'700'000'000'500ms}};
    CHECK(line_of(event) == R"({"Type":"plugin","Action":"enable","Actor":{"ID":")" + kId +
                                R"(","Attributes":{"name":"acme/\"x\""}},"scope":"local","time":1700000000,)" +
                                R"("timeNano":1700000000500000000})" + "\n");
}

TEST_CASE("filters of events choose as Docker's do", "[control]") {
    const DockerEvent event{"enable", kId, "acme/volumes:1"};
    for (const char* filters :
         {"", "{}", R"({"type":["plugin"]})", R"({"type":{"plugin":true}})", R"({"type":["image","plugin"]})",
          R"({"event":["enable","disable"]})", R"({"scope":["local"]})", R"({"plugin":["acme/vol"]})",
          R"({"plugin":["aaaa"]})", R"({"plugin":["x","acme/volumes:1"]})", R"({"type":[]})", R"({"type":null})",
          R"({"type":{"image":false}})", R"({"label":["name"]})", R"({"label":["name=acme/volumes:1"]})",
          R"({"container":["acme"]})", R"({"colour":["red"]})", R"({"event":["health_status","en"]})"}) {
        INFO(filters);
        CHECK(passes(filters, event));
    }
    for (const char* filters :
         {R"({"type":["image"]})", R"({"event":["en"]})", R"({"event":["create"]})", R"({"scope":["swarm"]})",
          R"({"plugin":["volumes"]})", R"({"container":["x"]})", R"({"image":["acme"]})", R"({"label":["name","x"]})",
          R"({"label":["name=acme"]})", R"({"daemon":["x"]})", R"({"type":["plugin"],"event":["remove"]})"}) {
        INFO(filters);
        CHECK_FALSE(passes(filters, event));
    }
    const DockerEvent pull{"pull", "host:5000/acme/volumes:1", "mine:latest"};
    CHECK(passes(R"({"image":["host:5000/acme/volumes:1"]})", pull));
    CHECK(passes(R"({"image":["host:5000/acme/volumes"]})", pull));
    CHECK_FALSE(passes(R"({"image":["mine:latest"]})", pull));
    for (const char* filters : {"x", "[]", "1", R"({"type":1})", R"({"type":[1]})", R"({"type":{"plugin":1}})", "{"})
        CHECK_FALSE(DockerEventFilter::parse(filters));
}

TEST_CASE("watchers are told of what happens from then on, or from the time that they name", "[control]") {
    EventServer server;
    server.events.tell({"create", kId, "old"});
    Client live = server.watch({}, {}), all = server.watch(now() - 1h, {}), late = server.watch(now() + 1h, {});
    CHECK(live.receive_head().find("\r\nContent-Type: application/json\r\n") != std::string::npos);
    (void)all.receive_head();
    (void)late.receive_head();
    server.events.tell({"remove", kId, "old"});
    CHECK(action_of(live.receive_line()) == "remove");
    CHECK(action_of(all.receive_line()) == "create");
    CHECK(action_of(all.receive_line()) == "remove");
    CHECK(action_of(late.receive_line()) == "remove");  // as in Docker: "since" is about the past
}

TEST_CASE("an end that is past ends the answer at once", "[control]") {
    EventServer server;
    server.events.tell({"create", kId, "a"});
    CHECK(action_of(server.watch({}, now()).receive().body) == "create");
    CHECK(server.watch({}, now() - 1h).receive().body.empty());
}

TEST_CASE("an end to come ends the answer then, and the connection goes on", "[control]") {
    EventServer server;
    server.events.tell({"create", kId, "a"});
    Client patient = server.watch({}, Time::max());
    (void)patient.receive_head();
    Client watcher = server.watch({}, now());
    std::string head = watcher.receive_head();
    for (auto wait = 100ms; head.find("chunked") == head.npos; wait *= 2) {  // until it is not past when it is read
        watcher = server.watch({}, now() + wait);
        head = watcher.receive_head();
    }
    CHECK(action_of(watcher.receive_line()) == "create");
    CHECK(watcher.receive_chunk().empty());
    watcher.send(EventServer::request({}, now(), "HTTP/1.1"));
    CHECK(watcher.receive().status == 200);
    server.events.tell({"remove", kId, "a"});
    CHECK(action_of(patient.receive_line()) == "create");
    CHECK(action_of(patient.receive_line()) == "remove");
}

TEST_CASE("the connection of an HTTP/1.0 watcher ends with the stream", "[control]") {
    EventServer server;
    Client watcher = server.watch({}, now() + 100ms, "HTTP/1.0");
    CHECK(watcher.receive_head().find("chunked") == std::string::npos);
    CHECK(watcher.receive_end());
}

TEST_CASE("256 events are kept", "[control]") {
    EventServer server;
    for (int i = 0; i < 300; ++i) server.events.tell({"enable", kId, std::to_string(i)});
    const std::string body = server.watch({}, now()).receive().body;
    CHECK(std::count(body.begin(), body.end(), '\n') == 256);
    CHECK(body.find(R"("name":"44")") != body.npos);
    CHECK(body.find(R"("name":"43")") == body.npos);
}

TEST_CASE("a watcher of Docker's events that does not read is dropped, others are told everything", "[control]") {
    EventServer server;
    Client slow = server.watch({}, {}), quick = server.watch({}, {});
    (void)slow.receive_head();
    (void)quick.receive_head();
    constexpr int kEvents = 200;  // 2 MB: more than the socket's buffer and the backlog together
    for (int i = 0; i < kEvents; ++i) {
        server.events.tell({"enable", kId, std::string(10'000, 'x')});
        REQUIRE(action_of(quick.receive_line()) == "enable");
    }
    CHECK(slow.receive_end());
}
