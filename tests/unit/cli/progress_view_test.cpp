#include "cli/output/progress_view.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>

#include <catch2/catch.hpp>

#include "tests/unit/cli/run_cli.h"

namespace brokerd::cli {
namespace {

using namespace std::chrono_literals;
using Clock = ProgressView::Clock;

/// A terminal whose other end we read.
class Terminal {
public:
    Terminal(unsigned short rows, unsigned short columns) {
        REQUIRE(::grantpt(master_.get()) == 0);
        REQUIRE(::unlockpt(master_.get()) == 0);
        slave_.reset(::open(::ptsname(master_.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
        REQUIRE(slave_);
        const winsize size{rows, columns, 0, 0};
        REQUIRE(::ioctl(slave_.get(), TIOCSWINSZ, &size) == 0);
        termios settings{};
        REQUIRE(::tcgetattr(slave_.get(), &settings) == 0);
        settings.c_oflag &= ~static_cast<tcflag_t>(OPOST);
        REQUIRE(::tcsetattr(slave_.get(), TCSANOW, &settings) == 0);
    }
    [[nodiscard]] int fd() const noexcept { return slave_.get(); }
    /// What was written since it was last asked.
    [[nodiscard]] std::string seen() const {
        char piece[65536];
        const ssize_t count = ::read(master_.get(), piece, sizeof piece);
        return count > 0 ? std::string(piece, static_cast<std::size_t>(count)) : std::string{};
    }

private:
    UniqueFd master_{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK)};
    UniqueFd slave_;
};

std::string in_pipe(const std::vector<ProgressMessage>& messages) {
    const UniqueFd file{::memfd_create("out", MFD_CLOEXEC)};
    Output out{file.get()};
    ProgressView view{out};
    for (const ProgressMessage& message : messages) view.show(message);
    view.finish();
    return content_of(file.get());
}

TEST_CASE("in a pipe progress is a line for each change, as docker prints it", "[cli]") {
    CHECK(in_pipe({{"Pulling from v/s", "latest", 0, 0},
                   {"Digest: sha256:1", "", 0, 0},
                   {"Waiting", "a", 0, 0},
                   {"Waiting", "a", 0, 0},
                   {"Downloading", "a", 5, 10},
                   {"Complete", "a", 0, 0}}) ==
          "latest: Pulling from v/s\nDigest: sha256:1\na: Waiting\na: Complete\n");
    CHECK(in_pipe({{"evil\x1b[2J\n", "i\rd", 0, 0}}) == "i\\x0dd: evil\\x1b[2J\\x0a\n");
    CHECK(in_pipe({{std::string(100'000, 'x'), std::string(100'000, 'y'), 0, 0}}).size() < 1000);
}

TEST_CASE("on a terminal each layer has a line that is redrawn in place", "[cli]") {
    const Terminal terminal{24, 60};
    Output out{terminal.fd()};
    ProgressView view{out};
    const Clock::time_point start = Clock::now();
    view.show({"Downloading", "aa", 5'000'000, 10'000'000}, start);
    CHECK(terminal.seen() == "\raa: Downloading [================>                ] 5MB/10MB\x1b[K\n\x1b[J");
    view.show({"Waiting", "bb", 0, 0}, start + 100ms);
    CHECK(terminal.seen() ==
          "\r\x1b[1Aaa: Downloading [================>                ] 5MB/10MB\x1b[K\nbb: Waiting\x1b[K\n\x1b[J");
    view.show({"Digest: x", "", 0, 0}, start + 200ms);
    CHECK_THAT(terminal.seen(), Catch::StartsWith("\r\x1b[2A\x1b[JDigest: x\naa: "));
}

TEST_CASE("where colours are allowed a layer that is done with is green", "[cli]") {
    const Terminal terminal{24, 60};
    Output out{terminal.fd(), true};
    ProgressView view{out};
    const Clock::time_point start = Clock::now();
    view.show({"Waiting", "aa", 0, 0}, start);
    CHECK(terminal.seen() == "\raa: Waiting\x1b[K\n\x1b[J");
    view.show({"Pull complete", "aa", 0, 0}, start + 100ms);
    CHECK(terminal.seen() == "\r\x1b[1A\x1b[32maa: Pull complete\x1b[0m\x1b[K\n\x1b[J");
    const UniqueFd file{::memfd_create("out", MFD_CLOEXEC)};
    CHECK_FALSE(Output{file.get(), true}.has_colours());
}

TEST_CASE("a terminal gets 15 pictures a second, and the last state", "[cli]") {
    const Terminal terminal{24, 80};
    Output out{terminal.fd()};
    ProgressView view{out};
    const Clock::time_point start = Clock::now();
    std::string seen;
    for (int i = 0; i < 1000; ++i) {
        view.show({"Downloading", "a", static_cast<std::uint64_t>(i), 1000}, start + i * 1ms);
        seen += terminal.seen();
    }
    CHECK(std::count(seen.begin(), seen.end(), '\r') == 16);
    view.finish();
    CHECK_THAT(terminal.seen(), Catch::Contains("999B/1kB"));
    view.finish();
    CHECK(terminal.seen().empty());
}

TEST_CASE("a picture is never larger than the terminal", "[cli]") {
    const Terminal terminal{6, 30};
    Output out{terminal.fd()};
    ProgressView view{out};
    Clock::time_point now = Clock::now();
    for (int i = 0; i < 20; ++i) {
        view.show({"Downloading" + std::string(50, 'x'), "layer" + std::to_string(i), 1, 2}, now += 100ms);
        const std::string picture = terminal.seen();
        CHECK(std::count(picture.begin(), picture.end(), '\n') <= 5);
        CHECK(picture.find(std::string(31, 'x')) == std::string::npos);
    }
    view.show({"Waiting", "layer3", 0, 0}, now += 100ms);
    const std::string picture = terminal.seen();
    CHECK_THAT(picture, Catch::Contains("layer3: Waiting") && Catch::Contains("… and 16 more"));
    CHECK(picture.find("layer16") == std::string::npos);
}

TEST_CASE("numbers that make no sense are shown all the same", "[cli]") {
    const Terminal terminal{24, 80};
    Output out{terminal.fd()};
    ProgressView view{out};
    const std::uint64_t most = ~std::uint64_t{0};
    view.show({"Downloading", "a", most, 1});
    CHECK_THAT(terminal.seen(), Catch::Contains("18.4EB/1B"));
    ProgressView other{out};
    other.show({"Downloading", "a", 7, 0});
    CHECK_THAT(terminal.seen(), Catch::Contains("a: Downloading 7B"));
}

}  // namespace
}  // namespace brokerd::cli
