#include "common/unix_http.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "tests/unit/common/scripted_server.h"

namespace brokerd {
namespace {

using namespace std::chrono_literals;
using Kind = TransportError::Kind;

/// Generous: what must not time out must not do so on a busy machine either.
constexpr UnixHttp::Limits kAmple{60s, 1u << 20};
/// For what can only end with its time.
constexpr UnixHttp::Limits kShort{100ms, 1u << 20};

Result<HttpReply, TransportError> get(const std::string& path, UnixHttp::Limits limits = kAmple) {
    return UnixHttp{path}.exchange({"GET", "/x", {}}, limits);
}

Kind failure_of(const ScriptedServer& server, UnixHttp::Limits limits = kAmple) {
    const auto reply = get(server.path(), limits);
    REQUIRE_FALSE(reply);
    return reply.error().kind;
}

TEST_CASE("a request is what was asked for, and the answer comes back whole", "[client]") {
    const ScriptedServer server{ScriptedServer::reply(201, "hello")};
    const auto reply = UnixHttp{server.path()}.exchange({"POST", "/a/b?c=d", "{\"x\":1}"}, kAmple);
    REQUIRE(reply);
    CHECK(reply->status == 201);
    CHECK(reply->server == "brokerd/9");
    CHECK(reply->body == "hello");
    const std::string request = server.requests().at(0);
    CHECK(request.substr(0, request.find('\r')) == "POST /a/b?c=d HTTP/1.1");
    CHECK(request.find("\r\nContent-Length: 7\r\n") != std::string::npos);
    CHECK(request.substr(request.find("\r\n\r\n") + 4) == "{\"x\":1}");
}

TEST_CASE("a body may be chunked, or end with the connection, or follow an announcement", "[client]") {
    const std::string chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + ScriptedServer::chunk("hel") +
                               ScriptedServer::chunk("lo") + ScriptedServer::chunk("");
    CHECK(get(ScriptedServer{chunks}.path())->body == "hello");
    CHECK(get(ScriptedServer{std::string{"HTTP/1.1 200 OK\r\n\r\nhello"}}.path())->body == "hello");
    CHECK(get(ScriptedServer{"HTTP/1.1 103 Early\r\n\r\n" + ScriptedServer::reply(200, "hello")}.path())->body ==
          "hello");
    CHECK(get(ScriptedServer{std::string{"HTTP/1.1 204 No\r\n\r\n"}}.path())->status == 204);
}

TEST_CASE("an answer to half a request is an answer", "[client]") {
    const ScriptedServer server{ScriptedServer::Answer{ScriptedServer::reply(413, "too much"), false, false}};
    const std::string large(8u << 20, 'x');
    const auto reply = UnixHttp{server.path()}.exchange({"POST", "/x", large}, kAmple);
    // The reset that follows may overtake the answer on the way: both are told, neither hangs.
    if (reply) {
        CHECK(reply->status == 413);
    } else {
        CHECK(reply.error().kind == Kind::disconnected);
    }
}

TEST_CASE("a large request and a large answer do not block each other", "[client]") {
    const std::string large(4u << 20, 'x');
    const ScriptedServer server{ScriptedServer::reply(200, large)};
    const auto reply = UnixHttp{server.path()}.exchange({"POST", "/x", large}, {60s, 8u << 20});
    REQUIRE(reply);
    CHECK(reply->body.size() == large.size());
    CHECK(server.requests().at(0).size() > large.size());
}

TEST_CASE("who cannot be reached is told apart", "[client]") {
    const SocketPath path;
    CHECK(get(path.str()).error().kind == Kind::no_socket);
    CHECK(get(path.str() + "/below").error().kind == Kind::no_socket);
    const UniqueFd bound = path.bind();
    CHECK(get(path.str()).error().kind == Kind::refused);
    CHECK(get(path.str() + "/below").error().kind == Kind::no_socket);
    CHECK(get("").error().kind == Kind::cannot_connect);
    CHECK(get("/" + std::string(200, 'x')).error().kind == Kind::cannot_connect);
    if (::geteuid() != 0) {  // root may connect to anything
        REQUIRE(::chmod(path.str().c_str(), 0) == 0);
        CHECK(get(path.str()).error().kind == Kind::permission_denied);
    }
}

TEST_CASE("waiting for a place in a full backlog ends in time", "[client]") {
    const SocketPath path;
    const UniqueFd listener = path.bind();
    REQUIRE(::listen(listener.get(), 0) == 0);
    const sockaddr_un address = path.address();
    std::vector<UniqueFd> waiting;
    for (;;) {
        waiting.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        if (::connect(waiting.back().get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) break;
    }
    CHECK(get(path.str(), kShort).error().kind == Kind::timed_out);
}

TEST_CASE("silence ends in time, at whatever point it begins", "[client]") {
    const std::string whole = ScriptedServer::reply(200, "hello");
    for (const std::string& bytes : {std::string{}, whole.substr(0, 5), whole.substr(0, whole.size() - 1),
                                     std::string{"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 100 Go on\r\n\r\n"}}) {
        CAPTURE(bytes);
        CHECK(failure_of(ScriptedServer{ScriptedServer::Answer{bytes, true}}, kShort) == Kind::timed_out);
    }
}

TEST_CASE("endless announcements end in time", "[client]") {
    std::string announcements;
    for (int i = 0; i < 200'000; ++i) announcements += "HTTP/1.1 100 X\r\n\r\n";
    CHECK(failure_of(ScriptedServer{ScriptedServer::Answer{announcements, true}}, kShort) == Kind::timed_out);
}

TEST_CASE("a cut answer is no answer", "[client]") {
    const std::string whole = ScriptedServer::reply(200, "hello");
    for (std::size_t size = 0; size < whole.size(); ++size) {
        CAPTURE(size);
        CHECK(failure_of(ScriptedServer{whole.substr(0, size)}) == Kind::disconnected);
    }
    const std::string chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + ScriptedServer::chunk("hello");
    CHECK(failure_of(ScriptedServer{chunked}) == Kind::disconnected);
}

TEST_CASE("what is not HTTP is refused", "[client]") {
    for (const char* bytes : {"220 mail ready\r\n\r\n", "\x16\x03\x01\x02\x03\r\n\r\n", "HTTP/1.1 two OK\r\n\r\n",
                              "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
                              "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
        CAPTURE(bytes);
        CHECK(failure_of(ScriptedServer{std::string{bytes}}) == Kind::malformed);
    }
}

TEST_CASE("header and body have a limit", "[client]") {
    CHECK(failure_of(ScriptedServer{"HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x')}) == Kind::too_large);
    CHECK(failure_of(ScriptedServer{ScriptedServer::reply(200, std::string(2u << 20, 'x'))}) == Kind::too_large);
    // Nothing is reserved for what is only announced.
    const std::string announced = "HTTP/1.1 200 OK\r\nContent-Length: 9007199254740992\r\n\r\nabc";
    CHECK(failure_of(ScriptedServer{announced}) == Kind::disconnected);
}

TEST_CASE("a stream is handed on as it comes, and ends when its receiver has enough", "[client]") {
    const ScriptedServer server{ScriptedServer::Answer{
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + ScriptedServer::chunk("one"), true}};
    std::string seen;
    const UnixHttp::Receiver receive = [&](std::string& body) {
        seen += std::exchange(body, {});
        return seen.size() < 3;
    };
    const auto end = UnixHttp{server.path()}.stream({"GET", "/x", {}}, kAmple, receive, {});
    REQUIRE(end);
    CHECK(end->stopped_here);
    CHECK(seen == "one");
}

TEST_CASE("a stream may be silent for longer than an answer", "[client]") {
    ScriptedServer server{ScriptedServer::Answer{"HTTP/1.1 200 OK\r\n\r\n", true}};
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const UniqueFd writer{ends[1]};
    UniqueFd reader{ends[0]};
    std::thread closer{[&] {
        std::this_thread::sleep_for(300ms);  // what is tested is that nothing happens before
        reader.reset();
    }};
    const auto end = UnixHttp{server.path()}.stream(
        {"GET", "/x", {}}, kShort, [](std::string&) { return true; }, {writer.get(), -1});
    closer.join();
    REQUIRE(end);
    CHECK(end->stopped_here);
}

TEST_CASE("a stream that is refused comes back as an answer", "[client]") {
    const ScriptedServer server{ScriptedServer::reply(400, "no")};
    const auto end = UnixHttp{server.path()}.stream(
        {"GET", "/x", {}}, kAmple, [](std::string&) { return true; }, {});
    REQUIRE(end);
    CHECK(end->reply.status == 400);
    CHECK(end->reply.body == "no");
    CHECK_FALSE(end->stopped_here);
}

TEST_CASE("names become paths that mean them", "[client]") {
    CHECK(percent_encoded_path("vieux/sshfs:latest") == "vieux/sshfs:latest");
    CHECK(percent_encoded_path("a b?c#d%e\r\n") == "a%20b%3Fc%23d%25e%0D%0A");
    CHECK(percent_encoded_path("../x/./y..z") == "%2E%2E/x/%2E/y..z");
    CHECK(percent_encoded_path("\xc3\xa9") == "%C3%A9");
    CHECK(percent_encoded_value("a/b&c=d:e") == "a%2Fb%26c%3Dd%3Ae");
}

}  // namespace
}  // namespace brokerd
