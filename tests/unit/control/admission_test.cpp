#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <list>
#include <optional>
#include <stdexcept>
#include <thread>

#include "tests/unit/control/job_fixture.h"
#include "tests/unit/no_more_descriptors.h"

// Who gets a place when all are taken.

using namespace brokerd;
using namespace brokerd::test;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view kRequest = "GET / HTTP/1.1\r\n\r\n";
constexpr std::string_view kHalf = "GET / HT";

HttpServer::Limits limits(std::size_t connections, std::chrono::milliseconds owing, std::chrono::milliseconds resting) {
    HttpServer::Limits limits;
    limits.connections = connections;
    limits.owing = owing;
    limits.resting = resting;
    return limits;
}

/// Reads its body to the end, and says how that went.
void read_body(Job& job, const ControlRequest&) {
    std::vector<char> piece(4096);
    auto count = job.body.read(piece.data(), piece.size());
    while (count && *count > 0) count = job.body.read(piece.data(), piece.size());
    job.reply.reply({count ? 200U : 400U, "text/plain", count ? "whole" : count.error().message, {}});
}

/// What the process has spent so far.
std::chrono::microseconds processor_time() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto time = [](const timeval& value) {
        return std::chrono::seconds{value.tv_sec} + std::chrono::microseconds{value.tv_usec};
    };
    return time(usage.ru_utime) + time(usage.ru_stime);
}

/// Whether there is an answer, not the end of the connection.
bool is_answered(Client& client) try { return client.receive().status == 200; } catch (const std::runtime_error&) {
    return false;
}

}  // namespace

TEST_CASE("who has just come may ask before it makes room, and the next one waits for that", "[control]") {
    JobFixture server{read_body, limits(2, 1h, 1h)};
    Client first = server.connect();
    std::optional<Client> second{server.connect()};
    Client third = server.connect();
    third.send(kRequest);
    CHECK(first.get("/").status == 200);
    CHECK(second->get("/").status == 200);
    CHECK(first.get("/").status == 200);
    second.reset();
    CHECK(third.receive().status == 200);
}

TEST_CASE("whoever is silent makes room in time, without asking the processor for it", "[control]") {
    const auto what =
        GENERATE(as<std::string_view>{}, "", kHalf, "POST /collected HTTP/1.1\r\nContent-Length: 2\r\n\r\nx");
    JobFixture server{read_body, limits(3, 300ms, 1h)};
    Client used = server.connect();
    CHECK(used.get("/").status == 200);
    std::list<Client> silent;
    for (int i = 0; i < 20; ++i) {
        silent.push_back(server.connect());
        if (!what.empty()) silent.back().send(what);
    }
    const auto before = processor_time();
    Client late = server.connect();
    CHECK(late.get("/").status == 200);
    CHECK(processor_time() - before < 1s);  // of 3 s
    if (!what.empty()) CHECK(silent.front().receive().status == 408);
    CHECK(silent.front().receive_end());
    CHECK(used.get("/").status == 200);
    CHECK(late.get("/").status == 200);
}

TEST_CASE("who takes no answer makes room", "[control]") {
    auto few = limits(1, 50ms, 1h);
    JobFixture server{[](Job& job, const ControlRequest&) {
                          job.reply.reply({200, "text/plain", std::string(4'000'000, 'x'), {}});
                      },
                      few};
    Client deaf = server.post("Content-Length: 0\r\n");
    CHECK(server.connect().get("/").status == 200);
}

TEST_CASE("answers that nobody takes do not add up, and cost nobody else a small one", "[control]") {
    HttpServer::Limits few;
    few.owing = 300ms;
    few.unread = 10'000'000;
    const std::string large(4'000'000, 'x');
    JobFixture server{[&](Job& job, const ControlRequest&) { job.reply.reply({200, "text/plain", large, {}}); }, few};
    Client first = server.post("Content-Length: 0\r\n");
    CHECK(becomes_readable(first.descriptor()));  // its job may end after the second's else
    Client second = server.post("Content-Length: 0\r\n");
    CHECK(becomes_readable(second.descriptor()));
    const Reply refused = server.post("Content-Length: 0\r\n").receive();  // beyond the limit, and nobody is late yet
    if (refused.status != 200) CHECK(refused.message().find("9 MiB") != std::string::npos);
    CHECK(server.connect().get("/").status == 200);
    std::string body;
    CHECK(eventually([&] {
        Reply taken = server.post("Content-Length: 0\r\n").receive();
        body = std::move(taken.body);
        return taken.status == 200;
    }));
    CHECK(body == large);
    CHECK_THROWS(first.receive());  // it was the first that took nothing
    CHECK(second.receive().body == large);
}

TEST_CASE("those who have asked are the last to make room, but they do", "[control]") {
    JobFixture server{read_body, limits(2, 1ms, 50ms)};
    Client first = server.connect();
    CHECK(first.get("/").status == 200);
    Client second = server.connect();
    CHECK(second.get("/").status == 200);
    Client third = server.connect();
    CHECK(third.get("/").status == 200);
    CHECK(first.receive_end());
}

TEST_CASE("no request is lost that has left its client, however short of room the server is", "[control]") {
    JobFixture server{read_body, limits(3, 1ms, 1ms)};
    std::atomic<int> lost = 0, answered = 0;
    std::list<std::thread> customers;
    for (int i = 0; i < 8; ++i) {
        customers.emplace_back([&] {
            std::optional<Client> customer;
            for (int request = 0; request < 1000; ++request) {
                if (!customer) customer.emplace(server.connect());
                const bool has_left = customer->send_some(kRequest) == kRequest.size();
                const bool succeeds = has_left && is_answered(*customer);
                if (succeeds) ++answered;
                if (has_left && !succeeds) ++lost;
                if (!succeeds) customer.reset();
            }
        });
    }
    for (std::thread& customer : customers) customer.join();
    CHECK(lost == 0);
    CHECK(answered > 0);
}

TEST_CASE("without descriptors whoever rests makes room", "[control]") {
    JobFixture server{read_body, limits(100, 1h, 0ms)};
    Client resting = server.connect();
    CHECK(resting.get("/").status == 200);
    UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const NoMoreDescriptors none;
    Client late{server.path(), std::move(socket)};
    CHECK(late.get("/").status == 200);
    CHECK(resting.receive_end());
}

TEST_CASE("without descriptors and anybody who rests, clients wait until there are some", "[control]") {
    JobFixture server{read_body, limits(100, 1h, 1h)};
    Client busy = server.connect();
    CHECK(busy.get("/").status == 200);
    busy.send(kHalf);
    UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    std::optional<NoMoreDescriptors> none;
    none.emplace();
    Client late{server.path(), std::move(socket)};
    late.send(kRequest);
    busy.send("TP/1.1\r\n\r\n");
    CHECK(busy.receive().status == 200);
    const auto before = processor_time();
    CHECK(busy.get("/").status == 200);
    none.reset();
    CHECK(late.receive().status == 200);
    CHECK(processor_time() - before < 300ms);  // the server rests for 500 ms
}

TEST_CASE("a job gives its place up when its body does not come and another one needs it", "[control]") {
    auto few = limits(100, 100ms, 1h);
    few.jobs = 2;
    JobFixture server{read_body, few};
    Client half = server.post("Content-Length: 10\r\n", "12345");
    Client none = server.post("Content-Length: 10\r\nExpect: 100-continue\r\n");
    CHECK(none.receive_head() == "HTTP/1.1 100 Continue\r\n\r\n");
    std::list<Client> others;
    for (int i = 0; i < 10; ++i) others.push_back(server.post("Content-Length: 5\r\n", "12345"));
    for (Client& other : others) CHECK(other.receive().body == "whole");
    const Reply reply = half.receive();
    CHECK(reply.status == 400);
    CHECK(reply.body == "the request's body did not arrive in time; send it again");
    CHECK(half.receive_end());
}

TEST_CASE("a job that waits for a place goes with its client", "[control]") {
    auto few = limits(100, 1h, 1h);
    few.jobs = 1;
    std::atomic<int> begun = 0;
    JobFixture server{[&](Job& job, const ControlRequest& request) {
                          ++begun;
                          read_body(job, request);
                      },
                      few};
    Client half = server.post("Content-Length: 10\r\n", "12345");
    REQUIRE(eventually([&] { return begun == 1; }));
    const std::size_t descriptors = descriptor_count();
    for (int i = 0; i < 50; ++i) {
        Client gone = server.post("Content-Length: 5\r\n", "12345");
    }
    CHECK(eventually([&] { return descriptor_count() <= descriptors; }));
    half.send("67890");
    CHECK(half.receive().body == "whole");
    CHECK(server.connect().get("/").status == 200);
    CHECK(begun == 1);
}

TEST_CASE("a job that does not wait for its client keeps its place", "[control]") {
    auto few = limits(100, 20ms, 1h);
    few.jobs = 1;
    Told<bool> there;
    JobFixture server{[&](Job& job, const ControlRequest&) {
                          there.tell(true);
                          (void)becomes_readable(job.cancelled());  // waits for something else than its client
                      },
                      few};
    const Client working = server.post("Content-Length: 10\r\n", "12345");
    CHECK(there.get());
    CHECK(server.connect().post("/job").status == 503);
}
