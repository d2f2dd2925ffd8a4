#include <fcntl.h>
#include <sys/socket.h>

#include <thread>

#include "tests/unit/proxy/proxy_fixture.h"

// Bodies that no buffer holds: both ends wait for each other, and every byte comes through.

using namespace brokerd;
using test::Peer;
using namespace std::chrono_literals;
using Catch::StartsWith;

namespace {

constexpr std::size_t kLarge = std::size_t{8} << 20;

struct Bodies : test::ProxyFixture {
    using ProxyFixture::ProxyFixture;

    /// The plugin has the head of this request.
    void begin(std::string_view text) {
        REQUIRE(client.send(text));
        at_plugin.emplace(Peer::accept(plugin));
        CHECK_THAT(at_plugin->read_until("\r\n\r\n"), StartsWith("POST /VolumeDriver."));
    }
    /// The plugin's end of the next connection, of which nothing has been read.
    UniqueFd wait_for_plugin() {
        pollfd ready{plugin.get(), POLLIN, 0};
        REQUIRE(::poll(&ready, 1, 20'000) == 1);
        return UniqueFd{::accept4(plugin.get(), nullptr, nullptr, SOCK_CLOEXEC)};
    }
    /// Sends while the test does something else. False at the end: not everything was taken.
    std::thread sending(Peer& from, std::string bytes) {
        return std::thread{[this, &from, bytes = std::move(bytes)] { sent = from.send(bytes); }};
    }

    /// Calls go to a socket of the same plugin's where answers may take no longer than this.
    void limit(std::chrono::milliseconds answer_limit) {
        auto limited = route();
        limited->id = 2;
        limited->answer_limits = std::make_shared<const AnswerLimits>(answer_limit);
        proxy.publish(test::listen_at(directory / "limited.sock"), limited);
        client = Peer::connect(directory / "limited.sock");
    }

    Peer client = Peer::connect(published);
    std::optional<Peer> at_plugin;
    bool sent = false;
};

struct PathBodies : Bodies {
    PathBodies() : Bodies{std::make_shared<const PathRewrite>(PathRewrite{"/data", "/host/data", "/host/rootfs"})} {}
};

/// No two pieces of it are the same.
std::string numbers(std::size_t size) {
    std::string text;
    for (std::size_t i = 0; text.size() < size; ++i) text += std::to_string(i) + ' ';
    text.resize(size);
    return text;
}

std::string in_chunks(const std::string& body) {
    constexpr std::size_t kChunk = 0x10000;
    std::string text;
    for (std::size_t at = 0; at < body.size(); at += kChunk) text += "10000\r\n" + body.substr(at, kChunk) + "\r\n";
    return text + "0\r\n\r\n";
}

/// The bytes of a body that comes in chunks, to its end.
std::string from_chunks(Peer& peer) {
    std::string body;
    for (;;) {
        const std::size_t size = std::stoul(peer.read_until("\r\n"), nullptr, 16);
        body += peer.read(size);
        CHECK(peer.read(2) == "\r\n");
        if (size == 0) return body;
    }
}

}  // namespace

TEST_CASE_METHOD(Bodies, "a large answer comes whole to an engine that reads it late", "[proxy]") {
    const std::string body = numbers(kLarge);
    begin(request("List"));
    SECTION("of a known length") {
        std::thread sender = sending(*at_plugin, answer(body));
        CHECK_THAT(client.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
        CHECK(client.read(kLarge) == body);
        sender.join();
    }
    SECTION("in chunks") {
        std::thread sender =
            sending(*at_plugin, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + in_chunks(body));
        CHECK_THAT(client.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
        CHECK(from_chunks(client) == body);
        sender.join();
    }
    SECTION("to the end of the connection") {
        std::thread sender{[&] {
            sent = at_plugin->send("HTTP/1.1 200 OK\r\n\r\n" + body);
            at_plugin->close();
        }};
        CHECK_THAT(client.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
        CHECK(from_chunks(client) == body);
        sender.join();
    }
    CHECK(sent);
}

TEST_CASE_METHOD(Bodies, "a large request comes whole to a plugin that reads it late", "[proxy]") {
    const std::string body = numbers(kLarge);
    const bool in_pieces = GENERATE(false, true);
    const std::string head = "POST /VolumeDriver.Create HTTP/1.1\r\nHost: x\r\n";
    std::thread sender =
        sending(client, in_pieces ? head + "Transfer-Encoding: chunked\r\n\r\n" + in_chunks(body)
                                  : head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    at_plugin.emplace(Peer::accept(plugin));
    CHECK_THAT(at_plugin->read_until("\r\n\r\n"), StartsWith("POST /VolumeDriver.Create "));
    CHECK((in_pieces ? from_chunks(*at_plugin) : at_plugin->read(kLarge)) == body);
    sender.join();
    CHECK(sent);
    REQUIRE(at_plugin->send(answer("{}")));
    CHECK_THAT(client.read_until("{}"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_CASE_METHOD(Bodies, "a plugin that has heard enough is still heard", "[proxy]") {
    std::thread sender =
        sending(client, "POST /VolumeDriver.Create HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(kLarge) +
                            "\r\n\r\n" + numbers(kLarge));
    UniqueFd connected = wait_for_plugin();
    const UniqueFd same{::fcntl(connected.get(), F_DUPFD_CLOEXEC, 0)};
    at_plugin.emplace(std::move(connected));
    CHECK_THAT(at_plugin->read_until("\r\n\r\n"), StartsWith("POST /VolumeDriver.Create "));
    REQUIRE(::shutdown(same.get(), SHUT_RD) == 0);
    REQUIRE(at_plugin->send(answer("{}")));
    const std::string heard = client.read_until("{}");
    CHECK_THAT(heard, StartsWith("HTTP/1.1 200 OK\r\n") && Catch::Contains("Connection: close\r\n"));
    sender.join();
}

TEST_CASE_METHOD(Bodies, "an engine that goes in the middle of a large answer ends it at the plugin", "[proxy]") {
    begin(request("List"));
    std::thread sender = sending(*at_plugin, answer(numbers(kLarge)));
    CHECK_THAT(client.read(kLarge / 4), StartsWith("HTTP/1.1 200 OK\r\n"));
    client.close();
    sender.join();
    CHECK_FALSE(sent);
}

TEST_CASE_METHOD(PathBodies, "a long answer that tells paths comes whole, also while brokerd ends", "[proxy]") {
    std::string list = R"({"Volumes":[)";
    for (int i = 0; i < 20'000; ++i)
        list += (i == 0 ? "" : ",") + (R"({"Name":"v)" + std::to_string(i) + R"(","Mountpoint":"/data/v"})");
    list += "]}";
    begin(request("List"));
    REQUIRE(at_plugin->send(answer(list)));
    REQUIRE(wait_for([&] { return client.is_readable(); }));
    int drained = 0;
    proxy.drain(1ms, [&] { ++drained; });
    REQUIRE(
        wait_for([&] { return drained == 1; }));  // it takes no longer than it may, and cuts off nothing that has begun
    const std::string head = client.read_until("\r\n\r\n");
    const std::size_t at = head.find("Content-Length: ");
    REQUIRE(at != std::string::npos);
    const std::string rewritten = client.read(std::stoul(head.substr(at + 16)));
    CHECK(rewritten.size() == list.size() + 20'000 * std::string_view{"/host"}.size());
    CHECK(rewritten.ends_with(R"("Mountpoint":"/host/data/v"}]})"));
}

TEST_CASE_METHOD(Bodies, "a plugin that takes nothing of a request is late, and not the engine", "[proxy]") {
    limit(50ms);
    const bool is_deaf = GENERATE(false, true);
    std::thread sender =
        sending(client, "POST /VolumeDriver.Create HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(kLarge) +
                            "\r\n\r\n" + numbers(kLarge));
    UniqueFd connected = wait_for_plugin();
    if (is_deaf) REQUIRE(::shutdown(connected.get(), SHUT_RD) == 0);
    CHECK_THAT(client.read_until("\"}"), StartsWith("HTTP/1.1 504 ") && Catch::Contains("has not answered the call"));
    sender.join();
}

TEST_CASE_METHOD(Bodies, "an engine that still takes its last answer is given time when brokerd ends", "[proxy]") {
    const std::string body = numbers(std::size_t{512} << 10);  // more than its socket holds
    begin(request("List"));
    REQUIRE(at_plugin->send(answer(body)));
    REQUIRE(wait_for([&] { return client.is_readable(); }));
    int drained = 0;
    proxy.drain(700ms, [&] { ++drained; });  // longer than the grace of a connection that is idle
    REQUIRE(wait_for([&] { return drained == 1; }));
    CHECK_THAT(client.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
    CHECK(client.read(body.size()) == body);
}
