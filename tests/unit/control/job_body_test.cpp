#include <fmt/format.h>
#include <poll.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>

#include "daemon/control/error_reply.h"
#include "tests/unit/control/job_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kPiece = 60'000;
constexpr std::size_t kLarge = std::size_t{64} << 20U;

/// Reads to the end; tells how many bytes came as pattern() has them, or what went wrong.
std::string read_pattern(JobBody& body) {
    std::vector<char> piece(100'000);
    for (std::size_t at = 0;;) {
        const auto count = body.read(piece.data(), piece.size());
        if (!count) return count.error().message;
        if (*count == 0) return std::to_string(at);
        if (std::string_view{piece.data(), *count} != pattern(at, *count)) return fmt::format("wrong near {}", at);
        at += *count;
    }
}

void answer_with_pattern(Job& job, const ControlRequest&) {
    job.reply.reply({200, "text/plain", read_pattern(job.body), {}});
}

void send_pattern(Client& client, std::size_t size, bool chunked) {
    for (std::size_t at = 0; at < size; at += kPiece) {
        const std::string piece = pattern(at, std::min(kPiece, size - at));
        if (chunked) client.send(fmt::format("{:x}\r\n", piece.size()));
        client.send(piece);
        if (chunked) client.send("\r\n");
    }
    if (chunked) client.send("0\r\n\r\n");
}

/// Answers with what read() said in the end.
void answer_with_outcome(Job& job, const ControlRequest&) {
    std::array<char, 1000> piece;
    for (;;) {
        const auto count = job.body.read(piece.data(), piece.size());
        if (!count) return job.reply.reply(error_reply::incomplete_body(count.error()));
        if (*count == 0) return job.reply.reply({200, "text/plain", "whole", {}});
    }
}

}  // namespace

TEST_CASE("a large body reaches its job whole, in bounded memory", "[control]") {
    JobFixture server{answer_with_pattern};
    const bool chunked = GENERATE(false, true);
    Client client =
        server.post(chunked ? "Transfer-Encoding: chunked\r\n" : fmt::format("Content-Length: {}\r\n", kLarge));
    const MemoryPeak peak;
    send_pattern(client, kLarge, chunked);
    CHECK(client.receive().body == std::to_string(kLarge));
    if (MemoryPeak::kMeasurable) CHECK(peak.growth() < 2'000'000);
    CHECK(client.get("/").body == "OK");
}

TEST_CASE("the speed of large bodies", "[.bench]") {
    JobFixture server{[](Job& job, const ControlRequest&) {
        std::vector<char> piece(131'072);
        for (auto count = job.body.read(piece.data(), piece.size()); count && *count > 0;)
            count = job.body.read(piece.data(), piece.size());
        job.reply.reply({200, "text/plain", "OK", {}});
    }};
    const std::string piece(1U << 20U, 'x');
    for (const bool chunked : {false, true}) {
        Client client = server.post(chunked ? "Transfer-Encoding: chunked\r\n" : "Content-Length: 1073741824\r\n");
        const auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < 1024; ++i) {
            if (chunked) client.send("100000\r\n");
            client.send(piece);
            if (chunked) client.send("\r\n");
        }
        if (chunked) client.send("0\r\n\r\n");
        CHECK(client.receive().status == 200);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        WARN((chunked ? "chunked: " : "with a length: ") << 1073.7 / took.count() << " MB/s");
    }
}

TEST_CASE("a job that does not read stops its own client and nobody else", "[control]") {
    Told<bool> go_on;
    JobFixture server{[&](Job& job, const ControlRequest& request) {
        char first = 0;
        if (!job.body.read(&first, 1)) return;
        (void)go_on.get();
        std::vector<char> rest(1'000'000);
        std::size_t all = 1;
        for (auto count = job.body.read(rest.data(), rest.size()); count && *count > 0;
             count = job.body.read(rest.data(), rest.size()))
            all += *count;
        job.reply.reply({200, "text/plain", std::to_string(all) + request.body, {}});
    }};
    Client client = server.post("Content-Length: 16000000\r\n");
    const std::string piece(100'000, 'x');
    std::size_t sent = 0;
    // When nothing has moved while 200 other requests were answered, nothing moves.
    for (int idle = 0; idle < 200; ++idle) {
        const std::size_t before = sent;
        while (const std::size_t count = client.send_some(piece)) sent += count;
        if (sent != before) idle = 0;
        REQUIRE(server.connect().get("/").body == "OK");
    }
    CHECK(sent < 2'000'000);
    go_on.tell(true);
    client.send(std::string(16'000'000 - sent, 'x'));
    CHECK(client.receive().body == "16000000");
    CHECK(client.get("/").body == "OK");
}

TEST_CASE("a body may come in single bytes, with extensions and trailers", "[control]") {
    JobFixture server{answer_with_pattern};
    Client client = server.connect();
    const std::string request = "POST /job HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n" + pattern(0, 3) +
                                "\r\n002\r\n" + pattern(3, 2) + "\r\n0\r\nT: x\r\n\r\n";
    for (const char byte : request) client.send(std::string_view{&byte, 1});
    CHECK(client.receive().body == "5");
    CHECK(client.get("/").body == "OK");
}

TEST_CASE("what follows a body is the next request", "[control]") {
    JobFixture server{answer_with_pattern};
    Client client = server.connect();
    const std::string request = "POST /job HTTP/1.1\r\nContent-Length: 5\r\n\r\n" + pattern(0, 5);
    const std::string chunked =
        "POST /job HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n" + pattern(0, 7) + "\r\n0\r\n\r\n";
    const std::string none = "POST /job HTTP/1.1\r\n\r\n";
    for (int i = 0; i < 20; ++i) client.send(request + chunked + none + "GET / HTTP/1.1\r\n\r\n");
    for (int i = 0; i < 20; ++i) {
        for (const char* body : {"5", "7", "0", "OK"}) REQUIRE(client.receive().body == body);
    }
}

TEST_CASE("a client that stops sending in the middle of a body is told so", "[control]") {
    HttpServer::Limits limits;
    limits.body = 50ms;
    JobFixture server{answer_with_outcome, limits};
    Client client = server.post("Content-Length: 10\r\n", "12345");
    const Reply reply = client.receive();
    CHECK(reply.status == 400);
    CHECK(reply.message().find("did not arrive in time") != std::string::npos);
    CHECK(client.receive_end());
}

TEST_CASE("a body that breaks off, or is not framed as it should be, fails in the job", "[control]") {
    JobFixture server{answer_with_outcome};
    const auto outcome = [&](std::string_view headers, std::string_view body, bool ends) {
        Client client = server.post(headers, body);
        if (ends) client.end_output();
        const Reply reply = client.receive();
        CHECK(reply.status == 400);
        CHECK(client.receive_end());
        return reply.message();
    };
    const std::string_view chunked = "Transfer-Encoding: chunked\r\n";
    const std::string cut = "the connection ended in the middle of the request's body";
    CHECK(outcome("Content-Length: 10\r\n", "12345", true) == cut);
    CHECK(outcome(chunked, "5\r\n12345\r\n", true) == cut);
    const std::string invalid = "the request's body is not valid HTTP: ";
    CHECK(outcome(chunked, "5\r\n12345\r\nxyz", false).starts_with(invalid));
    CHECK(outcome(chunked, "5\r\n1234567", false).starts_with(invalid));
    CHECK(outcome(chunked, "5\n12345", false).starts_with(invalid));
    CHECK(outcome(chunked, "0x5\r\n12345\r\n", false).starts_with(invalid));
    CHECK(outcome(chunked, "fffffffffffffffff\r\n", false).starts_with(invalid));
    CHECK(outcome(chunked, "5;" + std::string(40'000, 'x') + "\r\n", false).starts_with(invalid));
    CHECK(server.post("Content-Length: 5\r\n", "12345").receive().body == "whole");
}

TEST_CASE("heads of streamed bodies are as strict as others", "[control]") {
    JobFixture server{answer_with_outcome};
    for (const char* headers : {"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip\r\n",
                                "Content-Length: -1\r\n", "Content-Length: 1\r\nContent-Length: 2\r\n",
                                "Content-Length: 99999999999999999999\r\n"}) {
        INFO(headers);
        Client client = server.post(headers, "1234");
        CHECK(client.receive().status == 400);
        CHECK(client.receive_end());
    }
}

TEST_CASE("100 Continue is sent when the job first reads, and only then", "[control]") {
    Told<bool> read_it;
    std::atomic<bool> reads = true;
    JobFixture server{[&](Job& job, const ControlRequest& request) {
        if (reads) (void)read_it.get();
        if (reads) return answer_with_pattern(job, request);
        job.reply.reply({409, "text/plain", "no", {}});
    }};
    const std::string_view headers = "Content-Length: 5\r\nExpect: 100-continue\r\n";
    Client client = server.post(headers);
    CHECK(server.connect().get("/").body == "OK");
    pollfd polled{client.descriptor(), POLLIN, 0};
    CHECK(::poll(&polled, 1, 0) == 0);
    read_it.tell(true);
    CHECK(client.receive_head() == "HTTP/1.1 100 Continue\r\n\r\n");
    client.send(pattern(0, 5));
    CHECK(client.receive().body == "5");
    CHECK(client.get("/").body == "OK");

    reads = false;
    for (const char* target : {"/job", "/refuse"}) {
        Client refused = server.post(headers, {}, target);
        const Reply reply = refused.receive();
        CHECK(reply.status == 409);
        CHECK(reply.head.find("\r\nConnection: close\r\n") != std::string::npos);
        CHECK(refused.receive_end());
    }
}

TEST_CASE("100 Continue is not for HTTP/1.0, nor for a body that is there", "[control]") {
    JobFixture server{answer_with_pattern};
    Client old = server.connect();
    old.send("POST /job HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    old.send(pattern(0, 5));
    CHECK(old.receive().body == "5");
    Client none = server.post("Content-Length: 0\r\nExpect: 100-continue\r\n");
    CHECK(none.receive().body == "0");
}

TEST_CASE("a job may hand its body on as a pipe", "[control]") {
    JobFixture server{[](Job& job, const ControlRequest&) {
        auto pipe = job.body.as_pipe();
        if (!pipe) return job.reply.reply(error_reply::incomplete_body(pipe.error()));
        std::string read;
        std::array<char, 4> piece;
        // An archive's reader stops at the archive's end.
        for (ssize_t count = 1; count > 0 && read.size() < 8;) {
            count = ::read(pipe->get(), piece.data(), piece.size());
            if (count > 0) read.append(piece.data(), static_cast<std::size_t>(count));
        }
        pipe->reset();
        const auto problem = job.body.end();
        job.reply.reply({problem ? 400U : 200U, "text/plain", problem ? problem->message : read, {}});
    }};
    Client client = server.post("Content-Length: 8\r\n", "12345678");
    CHECK(client.receive().body == "12345678");
    client.send("POST /job HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\nfffff\r\n" +
                std::string(0xfffff, 'x') + "\r\n0\r\n\r\n");
    CHECK(client.receive().body == "12345678");
    CHECK(client.post("/job").body.empty());
    Client cut = server.post("Content-Length: 8\r\n", "1234");
    cut.end_output();
    CHECK(cut.receive().body == "the connection ended in the middle of the request's body");
    Client longer = server.post("Content-Length: 9000000\r\n");
    longer.send(std::string(9'000'000, 'x'));
    CHECK(longer.receive().body.find("goes on for more than 1048576 bytes") != std::string::npos);
    CHECK(longer.receive_end());
}

TEST_CASE("small bodies can be read in one go, or be collected before the job", "[control]") {
    JobFixture server{[](Job& job, const ControlRequest& request) {
        const auto all = job.body.read_all(10);
        job.reply.reply({200, "text/plain", request.body + "|" + (all ? *all : all.error().message), {}});
    }};
    Client client = server.connect();
    CHECK(client.post("/job", "1234567890").body == "|1234567890");
    CHECK(client.post("/collected", "12345").body == "12345|");
    CHECK(client.post("/job", "12345678901").body == "|the request's body is larger than 10 bytes");
}

TEST_CASE("a job sees the headers of its request", "[control]") {
    JobFixture server{[](Job& job, const ControlRequest& request) {
        job.reply.reply({200,
                         "text/plain",
                         fmt::format("{} {} {}|", request.header("x-registry-auth").size(),
                                     request.header("CONTENT-TYPE"), request.header("absent")),
                         {}});
    }};
    const std::string credentials(60'000, 'A');
    Client client = server.post("X-Registry-Auth: " + credentials +
                                "\r\nContent-Type: application/x-tar\r\nX-Registry-Auth: b\r\n");
    CHECK(client.receive().body == "60000 application/x-tar |");
}
