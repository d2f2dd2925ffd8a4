#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <list>
#include <random>

#include "tests/unit/control/job_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
using namespace std::chrono_literals;

namespace {

enum class Phase { untouched, reading, piping, reading_slowly, answering, writing };

/// Brings its job into `phase`, says so, and tells what it noticed of its end.
struct Victim {
    Phase phase;
    Told<bool> there;
    Told<std::string> noticed;

    void run(Job& job) {
        std::vector<char> piece(1000);
        UniqueFd pipe;
        if (phase == Phase::reading || phase == Phase::reading_slowly) (void)job.body.read(piece.data(), 10);
        if (phase == Phase::piping) pipe = std::move(*job.body.as_pipe());
        if (phase == Phase::answering || phase == Phase::writing) job.reply.start(200, "text/plain");
        there.tell(true);
        std::string what;
        if (phase == Phase::reading) what = job.body.read(piece.data(), piece.size()) ? "bytes" : "no more bytes";
        if (phase == Phase::piping) {
            while (::read(pipe.get(), piece.data(), piece.size()) > 0) {
            }
            what = job.body.end() ? "no more bytes" : "whole";
        }
        if (phase == Phase::writing) {
            while (job.reply.write(std::string(100'000, 'x'))) {
            }
            what = "no more room";
        }
        const bool cancelled = becomes_readable(job.cancelled()) && job.is_cancelled();
        noticed.tell(what + (cancelled ? " cancelled" : " left alone"));
    }
};

std::string expected(Phase phase) {
    if (phase == Phase::reading || phase == Phase::piping) return "no more bytes cancelled";
    return phase == Phase::writing ? "no more room cancelled" : " cancelled";
}

constexpr std::array kPhases{Phase::untouched,      Phase::reading,   Phase::piping,
                             Phase::reading_slowly, Phase::answering, Phase::writing};

std::string body_of(Phase phase) {
    return phase == Phase::reading_slowly ? std::string(100'000, 'x') : std::string(10, 'x');
}

}  // namespace

TEST_CASE("a job hears of its client's end at once, whatever it is doing", "[control]") {
    for (const Phase phase : kPhases) {
        INFO(static_cast<int>(phase));
        Victim victim{phase, {}, {}};
        JobFixture server{[&](Job& job, const ControlRequest&) { victim.run(job); }};
        {
            const Client client = server.post("Content-Length: 200000\r\n", body_of(phase));
            CHECK(victim.there.get());
        }
        CHECK(victim.noticed.get() == expected(phase));
        CHECK(server.connect().get("/").body == "OK");
    }
}

TEST_CASE("a server that stops cancels its jobs and waits for them", "[control]") {
    for (const Phase phase : kPhases) {
        INFO(static_cast<int>(phase));
        Victim victim{phase, {}, {}};
        JobFixture server{[&](Job& job, const ControlRequest&) { victim.run(job); }};
        Client client = server.post("Content-Length: 200000\r\n", body_of(phase));
        CHECK(victim.there.get());
        server.stop();
        CHECK(victim.noticed.get() == expected(phase));
        CHECK(client.receive_end());
    }
}

TEST_CASE("a client that only stops sending still gets its answer", "[control]") {
    JobFixture server{[](Job& job, const ControlRequest&) {
        const auto body = job.body.read_all(100);
        job.reply.start(200, "text/plain");
        job.reply.write(body ? *body + "\n" : "nothing\n");
        if (!job.is_cancelled()) job.reply.finish();
    }};
    Client client = server.post("Content-Length: 5\r\n", "12345");
    client.end_output();
    (void)client.receive_head();
    CHECK(client.receive_line() == "12345");
    CHECK(client.receive_chunk().empty());
    CHECK(client.receive_end());
}

TEST_CASE("so many jobs at a time, and nobody else waits for them", "[control]") {
    HttpServer::Limits limits;
    limits.jobs = 2;
    std::atomic<int> running = 0;
    std::atomic<bool> stuck = true;
    JobFixture server{[&](Job& job, const ControlRequest&) {
                          ++running;
                          if (stuck) (void)becomes_readable(job.cancelled());
                          job.reply.reply({200, "text/plain", "done", {}});
                          --running;
                      },
                      limits};
    std::list<Client> clients;
    for (int i = 0; i < 2; ++i) clients.push_back(server.post(""));
    REQUIRE(eventually([&] { return running == 2; }));
    Client refused = server.connect();
    const Reply reply = refused.post("/job");
    CHECK(reply.status == 503);
    CHECK(
        reply.message().starts_with("2 long calls (transfers, installations, starts of plugins) are running already"));
    CHECK(refused.get("/").body == "OK");
    stuck = false;
    clients.clear();
    // A job's place is free when its thread is, shortly after its answer.
    CHECK(eventually([&] { return refused.post("/job").status == 200; }));
}

TEST_CASE("jobs leave nothing behind", "[control]") {
    JobFixture server{[](Job& job, const ControlRequest& request) {
        char first = 0;
        if (request.header("Read").empty() || !job.body.read(&first, 1)) return;
        job.reply.start(200, "text/plain");
        job.reply.write("x");
        if (request.header("Finish").empty()) return;
        job.reply.finish();
    }};
    const auto round = [&] {
        for (const char* headers : {"", "Read: 1\r\n", "Read: 1\r\nFinish: 1\r\n"}) {
            Client whole = server.post(std::string{headers} + "Content-Length: 5\r\n", "12345");
            (void)whole.receive_head();
            const Client part = server.post(std::string{headers} + "Content-Length: 50000\r\n", "12345");
            const Client none = server.post(std::string{headers} + "Content-Length: 5\r\n");
        }
    };
    round();
    CHECK(eventually([&] { return server.connect().post("/job").status == 500; }));
    const std::size_t descriptors = descriptor_count();
    for (int i = 0; i < 50; ++i) round();
    CHECK(eventually([&] { return descriptor_count() <= descriptors; }));
}

TEST_CASE("clients that come and go at random leave the server as it was", "[control]") {
    // Echoes the body, in pieces, and ends as the client asks.
    JobFixture server{[](Job& job, const ControlRequest& request) {
        if (request.header("Way") == "refuse") return job.reply.reply({409, "text/plain", "no", {}});
        job.reply.start(200, "text/plain");
        std::vector<char> piece(3000);
        for (auto count = job.body.read(piece.data(), piece.size()); count && *count > 0;
             count = job.body.read(piece.data(), piece.size())) {
            if (request.header("Way") == "echo" && !job.reply.write({piece.data(), *count})) return;
        }
        if (!job.body.end()) job.reply.finish();
    }};
    const auto client_of = [&](unsigned seed) {
        std::minstd_rand random{seed};
        for (int i = 0; i < 40; ++i) {
            const std::size_t size = random() % 300'000;
            const bool whole = random() % 2 == 0;
            const char* const way = std::array{"echo", "take", "refuse"}.at(random() % 3);
            Client client = server.connect();
            client.send(fmt::format("POST /job HTTP/1.1\r\nWay: {}\r\nContent-Length: {}\r\n\r\n", way, size));
            // Without a reader an echo takes what the buffers hold, and then no more of the body is read.
            const std::size_t sent = whole && std::string_view{way} != "echo" ? size : random() % (size / 2 + 1);
            std::size_t at = 0;
            while (at < sent) {
                const std::size_t count = client.send_some(pattern(at, std::min<std::size_t>(sent - at, 7000)));
                if (count == 0 && std::string_view{way} != "take") break;
                at += count;
            }
            if (random() % 2 == 0) (void)client.receive_head();
            if (random() % 4 == 0) client.end_output();
        }
    };
    const std::size_t descriptors = descriptor_count();
    std::vector<std::future<void>> clients;
    for (unsigned seed = 1; seed <= 4; ++seed) {
        clients.push_back(std::async(std::launch::async, [&, seed] { client_of(seed); }));
    }
    for (auto& client : clients) client.get();
    CHECK(server.connect().get("/").body == "OK");
    CHECK(eventually([&] { return descriptor_count() <= descriptors; }));
}

TEST_CASE("a job that is begun after the server's end is dropped", "[control]") {
    Told<Exchange> taken;
    bool begun = false;
    const SocketDirectory directory;
    const std::string path = directory.path("c.sock");
    HttpServer server{listen_on(path), PeerPolicy{::geteuid(), std::nullopt}, {}};
    server.start([&](const ControlRequest&, const Exchange& exchange) { taken.tell(exchange); });
    Client client{path};
    client.send("GET / HTTP/1.1\r\n\r\n");
    const Exchange exchange = taken.get();
    server.stop();
    exchange.start_job([&](Job&) { begun = true; });
    CHECK(client.receive_end());
    CHECK_FALSE(begun);
}
