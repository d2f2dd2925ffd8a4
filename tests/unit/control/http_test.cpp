#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "daemon/control/request_target.h"
#include "daemon/control/routes.h"
#include "tests/unit/control/control_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
using namespace std::chrono_literals;

TEST_CASE("malformed requests get 400 and the connection ends", "[control]") {
    ControlFixture broker;
    for (const char* request : {
             "nonsense\r\n\r\n",
             "GET /_ping\r\n\r\n",
             "GET /_ping HTTP/2.0\r\n\r\n",
             "GET  /_ping HTTP/1.1\r\n\r\n",
             "GET http://x/_ping HTTP/1.1\r\n\r\n",
             "GET * HTTP/1.1\r\n\r\n",
             "GET /%2 HTTP/1.1\r\n\r\n",
             "GET /%zz HTTP/1.1\r\n\r\n",
             "GET /%00 HTTP/1.1\r\n\r\n",
             "GET /broker/v1/plugins?kind=%0a HTTP/1.1\r\n\r\n",
             "GET /_ping HTTP/1.1\nHost: x\n\n",
             "GET /_ping HTTP/1.1\r\nno colon\r\n\r\n",
             "GET /_ping HTTP/1.1\r\nBad Name: x\r\n\r\n",
             "GET /_ping HTTP/1.1\r\n: x\r\n\r\n",
             "POST /_ping HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
             "POST /_ping HTTP/1.1\r\nContent-Length: 1x\r\n\r\n",
             "POST /_ping HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
             "POST /_ping HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
             "POST /_ping HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
             "POST /_ping HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
             "POST /_ping HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
             "POST /plugins/x/set HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\n",
             "POST /plugins/create HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\n",
         }) {
        INFO(request);
        Client client = broker.connect();
        client.send(request);
        const Reply reply = client.receive();
        CHECK(reply.status == 400);
        CHECK_FALSE(reply.message().empty());
        CHECK(client.receive_end());
    }
}

TEST_CASE("a request in single bytes is understood as in one piece", "[control]") {
    ControlFixture broker;
    Client client = broker.connect();
    const std::string request =
        "POST /broker/v1/doctor HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: x\r\n\r\n";
    for (const char byte : request) client.send(std::string_view{&byte, 1});
    CHECK(client.receive().status == 405);
    CHECK(client.get("/_ping").status == 200);
}

TEST_CASE("pipelined requests are answered in order", "[control]") {
    ControlFixture broker;
    Client client = broker.connect();
    std::string requests;
    for (int i = 0; i < 100; ++i) requests += "GET /_ping HTTP/1.1\r\n\r\nGET /broker/v1/doctor HTTP/1.1\r\n\r\n";
    client.send(requests);
    for (int i = 0; i < 100; ++i) {
        REQUIRE(client.receive().body == "OK");
        REQUIRE(client.receive().body == R"({"Findings":[]})");
    }
}

TEST_CASE("connections are kept, or closed as the client asks", "[control]") {
    ControlFixture broker;
    Client kept = broker.connect();
    kept.send("GET /_ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK(kept.receive().status == 200);
    CHECK(kept.get("/_ping").status == 200);
    for (const char* request : {"GET /_ping HTTP/1.0\r\n\r\n", "GET /_ping HTTP/1.1\r\nConnection: close\r\n\r\n"}) {
        Client closed = broker.connect();
        closed.send(request);
        CHECK(closed.receive().head.find("\r\nConnection: close\r\n") != std::string::npos);
        CHECK(closed.receive_end());
    }
}

TEST_CASE("a head that is too large gets 431", "[control]") {
    ControlFixture broker;
    const std::string filler(70'000, 'x');
    for (const std::string& request :
         {"GET /" + filler + " HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nA: " + filler + "\r\n\r\n", filler + filler}) {
        Client client = broker.connect();
        client.send(request);
        const Reply reply = client.receive();
        CHECK((reply.status == 431 || reply.status == 400));
        CHECK(client.receive_end());
    }
}

TEST_CASE("a body that is too large gets 413, announced or not", "[control]") {
    ControlFixture broker;
    Client announced = broker.connect();
    announced.send("POST /broker/v1/doctor HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n");
    CHECK(announced.receive().status == 413);
    Client chunked = broker.connect();
    chunked.send("POST /broker/v1/doctor HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    const std::string chunk = "10000\r\n" + std::string(65'536, 'x') + "\r\n";
    for (int i = 0; i < 17; ++i) chunked.send(chunk);
    CHECK(chunked.receive().status == 413);
    Client fits = broker.connect();
    CHECK(fits.post("/broker/v1/doctor", std::string(1'048'576, 'x')).status == 405);
}

TEST_CASE("who sends all of what has been refused reads the answer then, if it takes a bounded time", "[control]") {
    ControlServer::Settings settings;
    // Whether everything that is sent in this time is taken.
    const auto is_heard_for = [](Client& client, std::chrono::milliseconds time) {
        client.send("POST /broker/v1/doctor HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n");
        const std::string piece(65'536, 'x');
        const auto end = std::chrono::steady_clock::now() + time;
        while (std::chrono::steady_clock::now() < end) {
            if (::send(client.descriptor(), piece.data(), piece.size(), MSG_NOSIGNAL) < 0) return false;
        }
        return true;
    };
    SECTION("longer than a client that is silent is waited for") {
        settings.limits.linger = 1s;
        ControlFixture broker{settings};
        Client client = broker.connect();
        CHECK(is_heard_for(client, 2s));
        CHECK(client.receive().status == 413);
    }
    SECTION("without end") {
        settings.limits.linger = 1h;
        settings.limits.body = 200ms;
        ControlFixture broker{settings};
        Client client = broker.connect();
        CHECK_FALSE(is_heard_for(client, kPatience));
        CHECK(client.receive().status == 413);
    }
}

TEST_CASE("Expect: 100-continue is granted", "[control]") {
    ControlFixture broker;
    Client client = broker.connect();
    client.send("POST /broker/v1/doctor HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    CHECK(client.receive_head() == "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("{}");
    CHECK(client.receive().status == 405);
}

TEST_CASE("half a request and then the end gets 400, a whole one its answer", "[control]") {
    ControlFixture broker;
    Client half = broker.connect();
    half.send("GET /_ping HT");
    half.end_output();
    CHECK(half.receive().status == 400);
    Client whole = broker.connect();
    whole.send("GET /broker/v1/doctor HTTP/1.1\r\n\r\n");
    whole.end_output();
    CHECK(whole.receive().status == 200);
    CHECK(whole.receive_end());
}

TEST_CASE("clients that come and go, or are slow, hold nothing", "[control]") {
    ControlServer::Settings settings;
    settings.limits.head = 300ms;
    settings.limits.idle = 3s;  // between a connection and its first byte, on a busy machine
    ControlFixture broker{settings};
    const std::size_t threads = thread_count(), descriptors = descriptor_count();
    for (int i = 0; i < 100; ++i) {
        const Client nothing = broker.connect();
        Client half = broker.connect();
        half.send("POST /broker/v1/doctor HTTP/1.1\r\nContent-Length: 10\r\n\r\nx");
        Client gone = broker.connect();
        gone.send("GET /broker/v1/plugins HTTP/1.1\r\n\r\n");
    }
    std::vector<Client> slow;
    for (int i = 0; i < 100; ++i) {
        slow.push_back(broker.connect());
        slow.back().send("GET /_pi");
    }
    Client idle = broker.connect();
    CHECK(broker.connect().get("/_ping").status == 200);
    CHECK(thread_count() == threads);
    CHECK(idle.receive_end());
    for (Client& client : slow) CHECK(client.receive().status == 408);
    slow.clear();
    { const Client done = std::move(idle); }
    CHECK(eventually([&] { return descriptor_count() == descriptors; }));
}

TEST_CASE("a client that does not read its answer is dropped", "[control]") {
    ControlServer::Settings settings;
    settings.limits.write_stall = 100ms;
    ControlFixture broker{settings};
    PluginView large = plugin("mobyfs", "failed");
    large.reason = std::string(4'000'000, 'x');
    broker.add(large);
    Client client = broker.connect();
    client.send("GET /broker/v1/plugins HTTP/1.1\r\n\r\n");
    REQUIRE(eventually([&] {
        // A server that has closed takes nothing in this direction either; one that does not read is just full.
        return ::send(client.descriptor(), "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN;
    }));
    // Not the large answer again: on a busy machine this client, too, may rest for that long.
    CHECK(broker.connect().get("/_ping").status == 200);
}

TEST_CASE("an answer that no socket holds reaches a client that reads it", "[control]") {
    ControlFixture broker;
    PluginView large = plugin("mobyfs", "failed");
    large.reason = std::string(4'000'000, 'x');
    broker.add(large);
    CHECK(broker.connect().get("/broker/v1/plugins").body.size() > 4'000'000);
}

TEST_CASE("beyond the limit clients wait in the backlog", "[control]") {
    ControlServer::Settings settings;
    settings.limits.connections = 2;
    settings.limits.owing = 1h;
    ControlFixture broker{settings};
    std::optional<Client> first{broker.connect()};
    first->send("GET /_pi");
    Client second = broker.connect();
    second.send("GET /_pi");
    Client third = broker.connect();
    third.send("GET /_ping HTTP/1.1\r\n\r\n");
    second.send("ng HTTP/1.1\r\n\r\nGET /_pi");
    CHECK(second.receive().status == 200);
    first.reset();
    CHECK(third.receive().status == 200);
}

TEST_CASE("Docker's paths may have a version before them, the broker's own may not", "[control]") {
    ControlFixture broker;
    Client client = broker.connect();
    CHECK(client.get("/v1.24/_ping").body == "OK");
    CHECK(client.get("/v1.50/version").status == 200);
    CHECK(client.request("HEAD", "/v1.41/_ping").status == 200);
    const Reply old = client.get("/v1.23/_ping");
    CHECK(old.status == 400);
    CHECK(
        old.message() ==
        "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer "
        "version");
    CHECK(client.get("/v1.9/_ping").status == 400);
    CHECK(client.get("/v1.51/version").message() ==
          "client version 1.51 is too new. Maximum supported API version is 1.50");
    CHECK(client.get("/v2.0/absent").status == 400);
    CHECK(client.get("/v1.41/broker/v1/doctor").status == 404);
    for (const char* path : {"/v1.x/_ping", "/v/_ping", "/v1.41", "/v1.41/"}) CHECK(client.get(path).status == 404);
    for (const char* path : {"/v1/_ping", "/v./_ping", "/v1.99999999999/_ping", "/v1.50.1/_ping", "/v1.23.9/_ping"})
        CHECK(client.get(path).status == 400);
    for (const char* path : {"/v1.24.0/_ping", "/v01.041/_ping", "/v1.41../_ping"})
        CHECK(client.get(path).status == 200);
    CHECK(client.post("/v1.41/_ping").status == 404);
    CHECK(client.request("DELETE", "/broker/v1/doctor").status == 405);
}

TEST_CASE("path patterns take names with slashes, the last separator counts", "[control]") {
    const auto matched = [](std::string_view pattern, std::string_view path) {
        std::string values;
        const auto variables = match_path(pattern, path);
        if (!variables) return std::string{"-"};
        for (const auto& [name, value] : *variables) values += name + "=" + value + " ";
        return values;
    };
    CHECK(matched("/p/{name}", "/p/a/b:c") == "name=a/b:c ");
    CHECK(matched("/p/{name}", "/p/") == "-");
    CHECK(matched("/p/{name}/json", "/p/a/json/json") == "name=a/json ");
    CHECK(matched("/p/{name}/json", "/p/json") == "-");
    CHECK(matched("/p/{name}/rpc/{method}", "/p/a/rpc/b/rpc/C.D") == "method=C.D name=a/rpc/b ");
    CHECK(matched("/p/{name}/rpc/{method}", "/p/a/rpc/C/D") == "-");
    CHECK(matched("/p/{name}/rpc/{method}", "/p/a/rpc/") == "-");
    CHECK(matched("/v{api}/_ping", "/v1.50/_ping") == "api=1.50 ");
    CHECK(matched("/v{api}/_ping", "/v1/2/_ping") == "-");
    CHECK(matched("/a", "/a/") == "-");
}

TEST_CASE("a path of any form is matched in a moment", "[control]") {
    constexpr std::size_t kLongest = 64 * 1024;
    std::string slashes(kLongest, '/'), calls, texts;
    while (calls.size() < kLongest) calls += "/rpc";
    while (texts.size() < kLongest) texts += "/json/";
    // So often that it would take minutes if each "/" cost a look at all that is behind it.
    for (int i = 0; i < 100; ++i) {
        for (const std::string& path :
             {slashes, calls, texts, calls + "/a/", calls + std::string(kLongest, 'x') + "/"}) {
            for (const char* pattern : {"/{name}/json", "/{name}/rpc/{method}", "/{name}/rpc/{method}/x"})
                static_cast<void>(match_path(pattern, path));
        }
    }
    CHECK_FALSE(match_path("/p/{name}/json", "/p/" + slashes));
    CHECK(match_path("/p/{name}", "/p/" + slashes));
}

TEST_CASE("request targets are split and decoded", "[control]") {
    const auto target = parse_request_target("/a%2Fb?x=1&y=a+b%26&x=2&&z");
    REQUIRE(target);
    CHECK(target->path == "/a%2Fb");
    CHECK(target->query == std::map<std::string, std::string>{{"x", "1"}, {"y", "a b&"}, {"z", ""}});
    CHECK(percent_decoded("a%2fb") == "a/b");
    CHECK_FALSE(percent_decoded("%7f"));
    CHECK_FALSE(parse_request_target("a"));
    CHECK(parse_request_target("/?")->query.empty());
}
