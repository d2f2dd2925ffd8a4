#include "daemon/archive/worker_report.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>

#include "common/os/unique_fd.h"
#include "daemon/archive/refused.h"

namespace brokerd {
namespace {

constexpr const char* kDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST_CASE("a report is read in pieces of any size", "[archive]") {
    const std::string text = std::string{"P 0 10\nD "} + kDigest + "\nC 5\na\nbc\nT 3 4 5\n";
    for (const std::size_t size : {std::size_t{1}, std::size_t{7}, text.size()}) {
        std::uint64_t told = 0;
        WorkerReport report{1, [&](std::size_t, std::uint64_t bytes) { told = bytes; }};
        for (std::size_t at = 0; at < text.size(); at += size)
            REQUIRE(report.feed(std::string_view{text}.substr(at, size)));
        CHECK(told == 10);
        REQUIRE(report.digests.size() == 1);
        CHECK(report.digests[0].str() == kDigest);
        CHECK(report.config == "a\nbc\n");
        CHECK(report.is_done());
        CHECK(report.entries == 3);
        CHECK(report.bytes == 4);
        CHECK(report.skipped == 5);
    }
}

TEST_CASE("a report that makes no sense is refused", "[archive]") {
    const std::string digest = std::string{"D "} + kDigest + '\n';
    const std::string bad = GENERATE_COPY(as<std::string>{}, "\n", "X 1\n", "P\n", "P 1\n", "P 1 2\n", "P 0 2 3\n",
                                          "P 0 -1\n", "P 0  1\n", "P 0 1 \n", "P 0 99999999999999999999\n", "T 1 2\n",
                                          "T 1 2 3 4\n", "T 1 2 3\nT 1 2 3\n", "D sha256:zz\n", digest + digest,
                                          "C 1048577\n", "C 1\nxC 1\n", "E a\nP 0 1\n", std::string(5000, 'x'));
    WorkerReport report{1, nullptr};
    CHECK_FALSE(report.feed(bad));
}

TEST_CASE("a worker tells whether the archive or the host is to blame", "[archive]") {
    WorkerReport report{1, nullptr};
    REQUIRE(report.feed("F layer 1, entry a: it cannot be written: No space left on device\n"));
    CHECK(report.is_host_to_blame());
    CHECK_FALSE(report.feed("E and another\n"));
}

TEST_CASE("a worker's refusal is made printable and short", "[archive]") {
    WorkerReport report{1, nullptr};
    REQUIRE(report.feed("E \x1b[31m" + std::string(3000, 'x') + '\n'));
    REQUIRE(report.error());
    CHECK(report.error()->starts_with("\\x1b[31mxxx"));
    CHECK(report.error()->size() < 1100);
    CHECK_FALSE(report.is_host_to_blame());
}

TEST_CASE("what a worker writes is read as it was meant", "[archive]") {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const UniqueFd from{ends[0]};
    UniqueFd to{ends[1]};
    const bool is_host_to_blame = GENERATE(false, true);
    ReportWriter{to.get()}.error("layer 1: no space", is_host_to_blame);
    to.reset();
    char bytes[256];
    const ssize_t count = ::read(from.get(), bytes, sizeof bytes);
    REQUIRE(count > 0);
    WorkerReport report{1, nullptr};
    REQUIRE(report.feed({bytes, static_cast<std::size_t>(count)}));
    CHECK(report.error() == "layer 1: no space");
    CHECK(report.is_host_to_blame() == is_host_to_blame);
}

TEST_CASE("a worker that cannot report gives up", "[archive]") {
    const UniqueFd unwritable{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    CHECK_THROWS_AS(ReportWriter{unwritable.get()}.progress(0, 1), Refused);
}

}  // namespace
}  // namespace brokerd
