#include <sys/eventfd.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <stdexcept>
#include <thread>
#include <vector>

#include "common/os/unique_fd.h"
#include "daemon/logs/plugin_logs.h"
#include "daemon/logs/since.h"
#include "daemon/shim/file_output.h"
#include "daemon/shim/log_files.h"
#include "tests/unit/temporary_directory.h"

using namespace brokerd;
using namespace std::chrono_literals;
using brokerd::test::TemporaryDirectory;
using Time = std::chrono::system_clock::time_point;

namespace {

const Time kNoon{1'785'240'000s};

/// A plugin's log in files, with its writer.
struct Fixture {
    TemporaryDirectory directory;
    PluginLogs logs{directory / "logs", LogTarget::files};
    FileOutput output{directory / "logs/abc"};
    UniqueFd cancelled{eventfd(0, EFD_CLOEXEC)};

    // These two are for other threads, too, where nothing may be asserted.
    void write(std::string_view text, Time time = kNoon) {
        if (!output.write({LogRecord::Source::standard_output, text, false, time})) throw std::runtime_error{"write"};
    }
    void cancel() const {
        if (eventfd_write(cancelled.get(), 1) != 0) throw std::runtime_error{"cancel"};
    }
    [[nodiscard]] std::vector<std::string> read(const LogQuery& query = {}) const {
        std::vector<std::string> lines;
        CHECK_FALSE(logs.read("abc", query, cancelled.get(), [&](const LogLine& line) {
            lines.push_back(line.message);
            return true;
        }));
        return lines;
    }
};

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("a plugin that has written nothing has no lines", "[logs]") {
    const Fixture f;
    CHECK(f.read().empty());
    CHECK_FALSE(std::filesystem::exists(f.directory / "logs"));
}

TEST_CASE("lines come back as they were written", "[logs]") {
    Fixture f;
    f.write("one", kNoon + 123456789ns);
    REQUIRE(f.output.write({LogRecord::Source::standard_error, "two", true, kNoon}));
    std::vector<LogLine> lines;
    REQUIRE_FALSE(f.logs.read("abc", {}, f.cancelled.get(), [&](const LogLine& line) {
        lines.push_back(line);
        return true;
    }));
    REQUIRE(lines.size() == 2);
    CHECK(lines[0].time == kNoon + 123456789ns);
    CHECK((lines[0].stream == "stdout" && lines[0].message == "one" && !lines[0].partial));
    CHECK((lines[1].stream == "stderr" && lines[1].message == "two" && lines[1].partial));
}

TEST_CASE("the newest lines, and those since a time", "[logs]") {
    Fixture f;
    for (int i = 0; i < 10; ++i) f.write(std::to_string(i), kNoon + std::chrono::seconds{i});
    CHECK(f.read({false, 2, {}}) == Lines{"8", "9"});
    CHECK(f.read({false, 0, {}}).empty());
    CHECK(f.read({false, 100, {}}).size() == 10);
    CHECK(f.read({false, {}, kNoon + 7s}) == Lines{"7", "8", "9"});
    CHECK(f.read({false, 2, kNoon + 9s}) == Lines{"9"});
}

TEST_CASE("lines of both files come, the older file first", "[logs]") {
    Fixture f;
    const std::string text(log_files::kMaxMessageBytes - 10, 'x');
    int count = 0;
    while (!std::filesystem::exists(f.directory / "logs/abc/previous")) f.write(std::to_string(count++) + text);
    const Lines lines = f.read();
    REQUIRE(lines.size() == static_cast<std::size_t>(count));
    CHECK(lines.front().starts_with("0x"));
    CHECK(lines.back().starts_with(std::to_string(count - 1) + "x"));
}

TEST_CASE("what is damaged in a file is left out", "[logs]") {
    Fixture f;
    f.write("one");
    test::write_file(f.directory / "logs/abc/previous",
                     std::string(100, '\0') + "\n[]\n{}\n{\"Message\":1}\n" + std::string(1 << 20, 'x') + "\n" +
                         R"({"Time":"odd","Stream":"stdout","Message":"still"})" + "\n{\"Mess");
    CHECK(f.read() == Lines{"still", "one"});
    std::filesystem::remove(f.directory / "logs/abc/previous");
    std::filesystem::create_directory(f.directory / "logs/abc/previous");
    CHECK(f.read() == Lines{"one"});
}

TEST_CASE("a reader that wants no more gets no more", "[logs]") {
    Fixture f;
    for (int i = 0; i < 10; ++i) f.write("x");
    int count = 0;
    REQUIRE_FALSE(f.logs.read("abc", {true, {}, {}}, f.cancelled.get(), [&](const LogLine&) { return ++count < 3; }));
    CHECK(count == 3);
}

TEST_CASE("following tells everything once, across rotations and a writer's restart", "[logs]") {
    Fixture f;
    f.write("0");
    constexpr int kLines = 3000;
    const std::string padding(1000, 'x');
    std::vector<int> seen;
    std::thread writer{[&] {
        for (int i = 1; i < kLines; ++i) {
            // A plugin that starts again has a new writer.
            if (i % 1000 == 0) {
                FileOutput other{f.directory / "logs/abc"};
                (void)other.write({LogRecord::Source::standard_output, std::to_string(i), false, kNoon});
                continue;
            }
            FileOutput* const out = &f.output;
            (void)out->write({LogRecord::Source::standard_output, std::to_string(i) + ' ' + padding, false, kNoon});
            if (i % 500 == 0) std::this_thread::yield();
        }
    }};
    REQUIRE_FALSE(f.logs.read("abc", {true, {}, {}}, f.cancelled.get(), [&](const LogLine& line) {
        seen.push_back(std::stoi(line.message));
        return seen.back() < kLines - 1;
    }));
    writer.join();
    // A reader that falls two files behind misses lines, but tells none twice and none out of order.
    CHECK(std::is_sorted(seen.begin(), seen.end(), std::less_equal<>{}));
    CHECK(seen.front() == 0);
    CHECK(seen.back() == kLines - 1);
}

TEST_CASE("following begins before the plugin has written, and ends when it is cancelled", "[logs]") {
    Fixture f;
    std::vector<std::string> seen;
    std::thread reader{[&] {
        (void)f.logs.read("abc", {true, {}, {}}, f.cancelled.get(), [&](const LogLine& line) {
            seen.push_back(line.message);
            f.cancel();
            return true;
        });
    }};
    while (!std::filesystem::exists(f.directory / "logs/abc")) std::this_thread::yield();
    f.write("first");
    reader.join();
    CHECK(seen == Lines{"first"});
}

TEST_CASE("following ends with the plugin's removal", "[logs]") {
    Fixture f;
    f.write("one");
    bool removed = false;
    std::thread reader{[&] {
        (void)f.logs.read("abc", {true, {}, {}}, f.cancelled.get(), [&](const LogLine&) {
            removed = !f.logs.remove("abc");
            return true;
        });
    }};
    reader.join();
    CHECK(removed);
    CHECK_FALSE(std::filesystem::exists(f.directory / "logs/abc"));
    CHECK_FALSE(f.logs.remove("abc"));
}

TEST_CASE("a place to follow is given back", "[logs]") {
    const PluginLogs logs{"/nowhere", LogTarget::files};
    std::vector<std::shared_ptr<const void>> places;
    for (std::size_t i = 0; i < PluginLogs::kMaxFollowers; ++i) {
        places.push_back(logs.begin_following());
        REQUIRE(places.back());
    }
    CHECK_FALSE(logs.begin_following());
    places.pop_back();
    CHECK(logs.begin_following());
}

TEST_CASE("since is a time or how long ago", "[logs]") {
    const auto since = [](std::string_view text) { return parse_since(text, kNoon); };
    CHECK(since("1785240000") == kNoon);
    CHECK(since("1785240000.5") == kNoon + 500ms);
    CHECK(since("10m") == kNoon - 10min);
    CHECK(since("1h30m") == kNoon - 90min);
    CHECK(since("1.5s") == kNoon - 1500ms);
    CHECK(since("250ms") == kNoon - 250ms);
    CHECK(since("2026-07-28T12:00:00Z") == kNoon);
    CHECK(since("2026-07-28T12:00:00.25Z") == kNoon + 250ms);
    CHECK(since("2026-07-28T14:00:00+02:00") == kNoon);
    CHECK(since("2026-07-28T12:00") == kNoon);
    CHECK(since("2026-07-28") == kNoon - 12h);
    CHECK(since("2200-01-01") == since("7258118400"));
    CHECK(since("2261-12-31T23:59:59Z").value() < std::chrono::system_clock::time_point::max());
    CHECK(since("2500000h") == kNoon - 2500000h);
    for (const std::string_view text : {"9223372036", "9223372037.999999999", "9999999999.5", "9223372036854775807",
                                        "2262-01-01", "9999-12-31T23:59:59+02:00"}) {
        CHECK(since(text).value() >= std::chrono::system_clock::time_point::max() - 1s);
    }
    for (const std::string_view text :
         {"", "x", "10", "-5", "10 m", "m", "5x", "2026-13-01", "2026-07-28T25:00:00Z", "+5m", "99999999999999999999",
          "9999999999h", "2026-07-28T12:00:00+99:00", "2300-13-01", "23x0-01-01", "99999-01-01"}) {
        CHECK((text == "10" || !since(text)));
    }
}
