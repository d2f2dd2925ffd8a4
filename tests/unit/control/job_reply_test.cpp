#include <fmt/format.h>
#include <poll.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <stdexcept>

#include "daemon/control/error_reply.h"
#include "tests/unit/control/job_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kPiece = 60'000;
constexpr std::size_t kLarge = std::size_t{64} << 20U;

bool write_pattern(JobReply& reply, std::size_t size) {
    for (std::size_t at = 0; at < size; at += kPiece) {
        if (!reply.write(pattern(at, std::min(kPiece, size - at)))) return false;
    }
    return true;
}

/// The size of a chunked body that is the pattern.
std::size_t receive_pattern(Client& client) {
    std::size_t at = 0;
    for (std::string chunk = client.receive_chunk(); !chunk.empty(); chunk = client.receive_chunk()) {
        if (chunk != pattern(at, chunk.size())) throw std::runtime_error{"wrong bytes"};
        at += chunk.size();
    }
    return at;
}

void take_last_line(Client& client) {
    // receive_chunk() reads "0 CRLF" and, as for any chunk, the CRLF behind its data.
    CHECK(client.get("/").body == "OK");
}

}  // namespace

TEST_CASE("a large answer reaches its client whole, in bounded memory", "[control]") {
    JobFixture server{[](Job& job, const ControlRequest&) {
        job.reply.start(200, "application/x-tar", {{"X-Plugin", "sshfs"}});
        if (write_pattern(job.reply, kLarge)) job.reply.finish();
    }};
    Client client = server.post("");
    const MemoryPeak peak;
    const std::string head = client.receive_head();
    CHECK(head.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(head.find("\r\nX-Plugin: sshfs\r\nContent-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n") !=
          head.npos);
    CHECK(receive_pattern(client) == kLarge);
    if (MemoryPeak::kMeasurable) CHECK(peak.growth() < 2'000'000);
    take_last_line(client);
}

TEST_CASE("a body may still come while its answer goes out", "[control]") {
    JobFixture server{[](Job& job, const ControlRequest&) {
        job.reply.start(200, "text/plain");
        std::vector<char> piece(50'000);
        for (;;) {
            const auto count = job.body.read(piece.data(), piece.size());
            if (!count) return job.reply.fail_with(error_reply::incomplete_body(count.error()));
            if (*count == 0) return job.reply.finish();
            if (!job.reply.write({piece.data(), *count})) return;
        }
    }};
    Client client = server.post("Transfer-Encoding: chunked\r\n");
    (void)client.receive_head();
    std::string echoed;
    for (std::size_t at = 0; at < 1'000'000; at += 10'000) {
        client.send("2710\r\n" + pattern(at, 10'000) + "\r\n");
        while (echoed.size() < at + 10'000) echoed += client.receive_chunk();
    }
    client.send("0\r\n\r\n");
    CHECK(client.receive_chunk().empty());
    CHECK(echoed == pattern(0, 1'000'000));
    take_last_line(client);
}

TEST_CASE("a client that reads slowly slows its job down", "[control]") {
    std::atomic<std::size_t> written = 0;
    JobFixture server{[&](Job& job, const ControlRequest&) {
        job.reply.start(200, "text/plain");
        const std::string piece(10'000, 'x');
        for (int i = 0; i < 1'000; ++i) {
            if (!job.reply.write(piece)) return;
            written += piece.size();
        }
        job.reply.finish();
    }};
    Client client = server.post("");
    (void)client.receive_head();
    // When nothing has moved while 200 other requests were answered, nothing moves.
    for (int idle = 0; idle < 200; ++idle) {
        const std::size_t before = written;
        REQUIRE(server.connect().get("/").body == "OK");
        if (written != before || before == 0) idle = 0;
    }
    CHECK(written < 1'000'000);
    std::size_t all = 0;
    for (std::string chunk = client.receive_chunk(); !chunk.empty(); chunk = client.receive_chunk())
        all += chunk.size();
    CHECK(all == 10'000'000);
    take_last_line(client);
}

TEST_CASE("a client that does not read its job's answer is dropped", "[control]") {
    HttpServer::Limits limits;
    limits.write_stall = 50ms;
    Told<bool> cancelled;
    JobFixture server{[&](Job& job, const ControlRequest&) {
                          job.reply.start(200, "text/plain");
                          while (job.reply.write(std::string(100'000, 'x'))) {
                          }
                          cancelled.tell(job.reply.over() && becomes_readable(job.cancelled()));
                      },
                      limits};
    const Client client = server.post("");
    CHECK(cancelled.get());
}

TEST_CASE("an answer that cannot be completed has no last chunk", "[control]") {
    enum class End { silent, throws, fails };
    std::atomic<End> end = End::silent;
    JobFixture server{[&](Job& job, const ControlRequest&) {
        job.reply.start(200, "text/plain");
        job.reply.write("begun");
        if (end == End::throws) throw std::runtime_error{"something"};
        if (end == End::fails) job.reply.fail_with({503, "text/plain", "too late", {}});
    }};
    for (const End way : {End::silent, End::throws, End::fails}) {
        end = way;
        Client client = server.post("");
        (void)client.receive_head();
        CHECK(client.receive_chunk() == "begun");
        CHECK_THROWS_WITH(client.receive_chunk(), Catch::StartsWith("the connection ended early after: "));
    }
}

TEST_CASE("a job without an answer is answered with an error", "[control]") {
    std::atomic<int> way = 0;
    JobFixture server{[&](Job& job, const ControlRequest&) {
        if (way == 1) throw std::runtime_error{"something"};
        if (way == 2) job.reply.fail_with({418, "text/plain", "odd", {}});
        if (way == 3) {
            job.reply.reply({201, "text/plain", "first", {}});
            job.reply.reply({202, "text/plain", "second", {}});
            job.reply.fail_with({500, "text/plain", "third", {}});
            job.reply.finish();
            if (job.reply.start(203, "text/plain") || job.reply.write("x")) throw std::runtime_error{"answered twice"};
        }
        if (way == 4) job.reply.reply({204, "text/plain", "", {}});
    }};
    Client client = server.connect();
    const auto status = [&](int next) {
        way = next;
        return client.post("/job").status;
    };
    CHECK(status(0) == 500);
    CHECK(status(1) == 500);
    CHECK(status(2) == 418);
    CHECK(status(3) == 201);
    way = 4;
    const Reply none = client.post("/job");
    CHECK(none.status == 204);
    CHECK(none.head.find("Content-") == none.head.npos);
    CHECK(client.get("/").body == "OK");
}

TEST_CASE("a client hears the refusal while it still sends its body", "[control]") {
    JobFixture server{[](Job& job, const ControlRequest&) { job.reply.reply({409, "text/plain", "name in use", {}}); }};
    const std::string_view headers = GENERATE("Content-Length: 67108864\r\n", "Transfer-Encoding: chunked\r\n");
    const std::string_view target = GENERATE("/job", "/refuse");
    Client client = server.post(headers, {}, target);
    for (int i = 0; i < 64; ++i) client.send("100000\r\n" + std::string(1U << 20U, 'x') + "\r\n");
    const Reply reply = client.receive();
    CHECK(reply.status == 409);
    CHECK(reply.head.find("\r\nConnection: close\r\n") != std::string::npos);
    CHECK(client.receive_end());
}

TEST_CASE("what is left of a body after its answer ends the connection", "[control]") {
    JobFixture server{[](Job& job, const ControlRequest&) {
        char first = 0;
        (void)job.body.read(&first, 1);
        job.reply.start(200, "text/plain");
        job.reply.write("enough");
        job.reply.finish();
    }};
    Client client = server.post("Content-Length: 40\r\n", "x");
    (void)client.receive_head();
    CHECK(client.receive_chunk() == "enough");
    CHECK(client.receive_chunk().empty());
    client.send("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n");
    CHECK(client.receive_end());
}

TEST_CASE("a streamed answer to HTTP/1.0 ends with the connection, one to HEAD has no body", "[control]") {
    JobFixture server{[](Job& job, const ControlRequest&) {
        job.reply.start(200, "text/plain");
        job.reply.write("a line\n");
        job.reply.finish();
    }};
    Client old = server.connect();
    old.send("POST /job HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK(old.receive_head().find("\r\nConnection: close\r\n") != std::string::npos);
    CHECK(old.receive_line(false) == "a line");
    CHECK(old.receive_end());
    Client once = server.post("Connection: close\r\n");
    CHECK(once.receive_head().find("\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n") != std::string::npos);
    CHECK(once.receive_line() == "a line");
    CHECK(once.receive_chunk().empty());
    CHECK(once.receive_end());
    Client head = server.connect();
    head.send("HEAD /job HTTP/1.1\r\n\r\nDELETE /job HTTP/1.1\r\n\r\n");
    CHECK(head.receive_head().find("Transfer-Encoding: chunked") != std::string::npos);
    CHECK(head.receive_head().find("Transfer-Encoding: chunked") != std::string::npos);
    CHECK(head.receive_line() == "a line");
}

TEST_CASE("a job may take longer than other answers, before and within its own", "[control]") {
    HttpServer::Limits limits;
    limits.reply = 20ms;
    limits.write_stall = 20ms;
    limits.body = 20ms;
    Told<bool> begin, go_on;
    JobFixture server{[&](Job& job, const ControlRequest&) {
                          (void)begin.get();
                          job.reply.start(200, "text/plain");
                          (void)go_on.get();
                          job.reply.write("late");
                          job.reply.finish();
                      },
                      limits};
    Client client = server.post("");
    // Once the server has given up on these, the time is over.
    const auto let_time_pass = [&] { CHECK(server.connect().get("/never").status == 503); };
    let_time_pass();
    begin.tell(true);
    (void)client.receive_head();
    let_time_pass();
    go_on.tell(true);
    CHECK(client.receive_chunk() == "late");
    CHECK(client.receive_chunk().empty());
    take_last_line(client);
}
