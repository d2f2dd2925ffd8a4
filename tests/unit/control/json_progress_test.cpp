#include "daemon/control/json_progress.h"

#include <catch2/catch.hpp>

#include "tests/unit/control/job_fixture.h"

using namespace brokerd;
using namespace brokerd::test;

namespace {

using Kind = OperationError::Kind;

/// The connection of a client whose job tells `work` of its progress.
struct Answer {
    explicit Answer(std::function<void(JsonProgress&)> work)
        : server{[work = std::move(work)](Job& job, const ControlRequest&) {
              JsonProgress progress{job.reply, {{"Docker-Plugin-Name", "p:latest"}}};
              work(progress);
          }},
          client{server.post("")} {}

    /// All lines up to the end of the stream.
    [[nodiscard]] std::vector<std::string> lines() {
        std::string bytes;
        for (std::string chunk = client.receive_chunk(); !chunk.empty(); chunk = client.receive_chunk()) bytes += chunk;
        std::vector<std::string> found;
        for (std::size_t at = 0; at < bytes.size();) {
            const std::size_t end = bytes.find("\r\n", at);
            if (end == bytes.npos) throw std::runtime_error{"the last line has no end"};
            found.push_back(bytes.substr(at, end - at));
            at = end + 2;
        }
        return found;
    }

    JobFixture server;
    Client client;
};

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("progress is one object a line, as Docker streams it", "[control]") {
    Answer answer{[](JsonProgress& progress) {
        progress.tell("latest", "Pulling from me/p");
        progress.tell("", "a \"quoted\" line");
        progress.advance("0123456789ab", "Downloading", 5, 10);
        progress.advance("ba9876543210", "Pushing", 7, 0);
        progress.aux(R"({"Tag":"latest"})");
        progress.finish();
    }};
    const std::string head = answer.client.receive_head();
    CHECK(head.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(head.find("\r\nContent-Type: application/json\r\n") != head.npos);
    CHECK(head.find("\r\nDocker-Plugin-Name: p:latest\r\n") != head.npos);
    CHECK(answer.lines() ==
          Lines{R"({"status":"Pulling from me/p","id":"latest"})", R"({"status":"a \"quoted\" line"})",
                R"({"status":"Downloading","progressDetail":{"current":5,"total":10},"id":"0123456789ab"})",
                R"({"status":"Pushing","progressDetail":{"current":7},"id":"ba9876543210"})",
                R"({"aux":{"Tag":"latest"}})"});
}

TEST_CASE("what fails before the first line has a status of its own", "[control]") {
    const std::vector<std::pair<Kind, unsigned>> statuses{
        {Kind::invalid, 400},  {Kind::unauthorized, 401}, {Kind::denied, 403},  {Kind::not_found, 404},
        {Kind::conflict, 409}, {Kind::unreachable, 502},  {Kind::storage, 500}, {Kind::cancelled, 500}};
    for (const auto& [kind, status] : statuses) {
        Answer answer{[kind = kind](JsonProgress& progress) { progress.finish({kind, "that is why"}); }};
        const Reply reply = answer.client.receive();
        CHECK(reply.status == status);
        CHECK(reply.message() == "that is why");
    }
}

TEST_CASE("what fails after the first line is a line, and the stream ends well", "[control]") {
    Answer answer{[](JsonProgress& progress) {
        progress.tell("", "so far so good");
        progress.finish({Kind::unreachable, "no \"answer\""});
    }};
    CHECK(answer.client.receive_head().starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(answer.lines() == Lines{R"({"status":"so far so good"})",
                                  R"({"errorDetail":{"message":"no \"answer\""},"error":"no \"answer\""})"});
}

TEST_CASE("success without a line is an empty stream", "[control]") {
    Answer answer{[](JsonProgress& progress) { progress.finish(); }};
    CHECK(answer.client.receive_head().starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(answer.lines().empty());
}

TEST_CASE("progress that nobody could see is not sent, each layer's by itself", "[control]") {
    constexpr std::uint64_t kTimes = 10'000;
    Answer answer{[](JsonProgress& progress) {
        for (std::uint64_t at = 0; at < kTimes; ++at) {
            progress.advance("one", "Downloading", at, kTimes);
            progress.advance("two", "Downloading", at, kTimes);
        }
        progress.tell("one", "Complete");  // a status is never dropped
        progress.finish();
    }};
    (void)answer.client.receive_head();
    const Lines lines = answer.lines();
    REQUIRE(lines.size() >= 3);
    CHECK(lines.size() < kTimes);
    CHECK(lines[0].find(R"("id":"one")") != std::string::npos);
    CHECK(lines[1].find(R"("id":"two")") != std::string::npos);
    CHECK(lines.back() == R"({"status":"Complete","id":"one"})");
}

TEST_CASE("layers may tell of themselves at the same time", "[control]") {
    Answer answer{[](JsonProgress& progress) {
        std::vector<std::thread> layers;
        for (int layer = 0; layer < 4; ++layer) {
            layers.emplace_back([&progress, id = std::to_string(layer)] {
                for (int i = 0; i < 100; ++i) progress.tell(id, "Waiting");
            });
        }
        for (std::thread& layer : layers) layer.join();
        progress.finish();
    }};
    (void)answer.client.receive_head();
    const Lines lines = answer.lines();
    CHECK(lines.size() == 400);
    for (const std::string& line : lines) {
        if (!line.starts_with(R"({"status":"Waiting","id":")")) FAIL(line);
    }
}
