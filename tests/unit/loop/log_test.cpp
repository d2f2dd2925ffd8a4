#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>

#include "common/os/pipe.h"
#include "daemon/loop/journal_sink.h"
#include "daemon/loop/log_queue.h"
#include "daemon/loop/stderr_sink.h"
#include "tests/unit/temporary_directory.h"

using namespace brokerd;
using namespace std::chrono_literals;

namespace {

/// The fields of an entry, read as journald reads them (systemd.io, JOURNAL_NATIVE_PROTOCOL).
std::multimap<std::string, std::string> parse(std::string_view datagram) {
    std::multimap<std::string, std::string> fields;
    while (!datagram.empty()) {
        const std::size_t line = datagram.find('\n');
        REQUIRE(line != std::string_view::npos);
        const std::size_t equals = datagram.substr(0, line).find('=');
        if (equals != std::string_view::npos) {
            fields.emplace(datagram.substr(0, equals), datagram.substr(equals + 1, line - equals - 1));
            datagram.remove_prefix(line + 1);
            continue;
        }
        const std::string name{datagram.substr(0, line)};
        datagram.remove_prefix(line + 1);
        REQUIRE(datagram.size() >= 8);
        std::uint64_t size = 0;
        for (unsigned i = 0; i < 8; ++i)
            size |= static_cast<std::uint64_t>(static_cast<unsigned char>(datagram[i])) << (8 * i);
        datagram.remove_prefix(8);
        REQUIRE(datagram.size() > size);
        REQUIRE(datagram[size] == '\n');
        fields.emplace(name, datagram.substr(0, size));
        datagram.remove_prefix(size + 1);
    }
    return fields;
}

/// journald's end of the socket.
class FakeJournal {
public:
    explicit FakeJournal(const std::string& path) : socket_{socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)} {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.data(), path.size());
        REQUIRE(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    }
    [[nodiscard]] std::string receive() const {
        std::string datagram(1 << 20, '\0');
        pollfd ready{socket_.get(), POLLIN, 0};
        REQUIRE(poll(&ready, 1, 10'000) == 1);
        const auto size = recv(socket_.get(), datagram.data(), datagram.size(), 0);
        REQUIRE(size >= 0);
        datagram.resize(static_cast<std::size_t>(size));
        return datagram;
    }

private:
    UniqueFd socket_;
};

/// Has room when a test says so.
struct FakeSink final : LogSink {
    struct State {
        std::mutex mutex;
        std::condition_variable news;
        std::vector<std::string> written;
        std::size_t room = 0;
    };
    explicit FakeSink(State& given) : state{given} {}
    bool try_write(const LogEntry& entry) override {
        const std::lock_guard lock{state.mutex};
        if (state.room == 0) return false;
        --state.room;
        state.written.push_back(entry.message);
        state.news.notify_all();
        return true;
    }
    void wait_for_room(std::chrono::milliseconds patience) noexcept override {
        std::unique_lock lock{state.mutex};
        state.news.wait_for(lock, patience, [this] { return state.room > 0; });
    }
    State& state;
};

void give_room(FakeSink::State& state, std::size_t room) {
    const std::lock_guard lock{state.mutex};
    state.room = room;
    state.news.notify_all();
}

std::vector<std::string> wait_for(FakeSink::State& state, std::size_t count) {
    std::unique_lock lock{state.mutex};
    state.news.wait_for(lock, 20s, [&] { return state.written.size() >= count; });
    return state.written;
}

}  // namespace

TEST_CASE("an entry reaches the journal with its fields", "[loop]") {
    const test::TemporaryDirectory directory;
    const FakeJournal journal{directory.path() + "/socket"};
    JournalSink sink{directory.path() + "/socket", "brokerd.service"};
    REQUIRE(sink.try_write({LogLevel::warning, "plugin x has failed", message::kPluginFailed, {{"PLUGIN_NAME", "x"}}}));
    const auto fields = parse(journal.receive());
    CHECK(fields == std::multimap<std::string, std::string>{{"MESSAGE", "plugin x has failed"},
                                                            {"PRIORITY", "4"},
                                                            {"SYSLOG_IDENTIFIER", "brokerd"},
                                                            {"MESSAGE_ID", std::string{message::kPluginFailed.hex}},
                                                            {"PLUGIN_NAME", "x"},
                                                            {"OBJECT_SYSTEMD_UNIT", "brokerd.service"}});
}

TEST_CASE("no text forges a field", "[loop]") {
    const std::string forged =
        "x\nPRIORITY=0\nMESSAGE_ID=00000000000000000000000000000000\nPLUGIN_NAME\n\1\0\0\0\0\0\0\0y\n";
    for (const std::string& text :
         {forged, std::string{"\n"}, std::string{"a\n"}, std::string{"\nA=b"}, std::string(8, '\0') + '\n'}) {
        const auto fields = parse(JournalSink::datagram({LogLevel::info, text, {}, {{"REASON", text}}}));
        CHECK(fields.size() == 4);
        CHECK(fields.find("MESSAGE")->second == text);
        CHECK(fields.find("REASON")->second == text);
        CHECK(fields.find("PRIORITY")->second == "6");
        CHECK(fields.count("PRIORITY") == 1);
        CHECK(StderrSink::line({LogLevel::info, text}, true).find('\n') ==
              StderrSink::line({LogLevel::info, text}, true).size() - 1);
    }
}

TEST_CASE("what is endless is cut, and leaves", "[loop]") {
    const test::TemporaryDirectory directory;
    const FakeJournal journal{directory.path() + "/socket"};
    JournalSink sink{directory.path() + "/socket"};
    const std::string endless(10'000'000, '\n');
    REQUIRE(sink.try_write({LogLevel::info, endless, {}, {{"REASON", endless}, {"PLUGIN_NAME", endless}}}));
    CHECK(parse(journal.receive()).find("REASON")->second.size() == 8192);
    CHECK(StderrSink::line({LogLevel::error, endless}, false).size() <= 4096);
}

TEST_CASE("a journal that does not read keeps nobody waiting, and gets all once it does", "[loop]") {
    const test::TemporaryDirectory directory;
    const std::string path = directory.path() + "/socket";
    LogQueue queue{std::make_unique<JournalSink>(path), {.pause = 10ms}};
    queue.write({LogLevel::info, "before"});  // nobody has made the socket yet
    const FakeJournal journal{path};
    constexpr int kLines = 2000;  // more than any socket takes
    for (int i = 0; i < kLines; ++i) queue.write({LogLevel::info, std::to_string(i)});
    CHECK(parse(journal.receive()).find("MESSAGE")->second == "before");
    for (int i = 0; i < kLines; ++i) REQUIRE(parse(journal.receive()).find("MESSAGE")->second == std::to_string(i));
}

TEST_CASE("a pipe that nobody reads keeps nobody waiting", "[loop]") {
    const Pipe pipe = *make_pipe();
    LogQueue queue{std::make_unique<StderrSink>(pipe.write_end.get()), {.pause = 10ms}};
    constexpr int kLines = 3000;
    const std::string rest(100, 'x');
    for (int i = 0; i < kLines; ++i) queue.write({LogLevel::warning, fmt::format("{} {}", i, rest)});
    std::string seen;
    std::array<char, 65536> buffer{};
    while (static_cast<int>(std::count(seen.begin(), seen.end(), '\n')) < kLines) {
        const auto size = ::read(pipe.read_end.get(), buffer.data(), buffer.size());
        REQUIRE(size > 0);
        seen.append(buffer.data(), static_cast<std::size_t>(size));
    }
    CHECK(seen.starts_with("warning: 0 x"));
    CHECK(seen.find(fmt::format("\nwarning: {} xx", kLines - 1)) != std::string::npos);
}

TEST_CASE("what waits leaves in order, and what was lost is told where it was", "[loop]") {
    FakeSink::State state;
    LogQueue queue{std::make_unique<FakeSink>(state), {.bytes = 10 * (sizeof(LogEntry) + 1), .pause = 1ms}};
    for (const char* line = "abcdefghijklmnop"; *line != '\0'; ++line)
        queue.write({LogLevel::info, std::string{*line}});
    give_room(state, 1000);
    auto written = wait_for(state, 11);
    REQUIRE(written.size() == 11);
    CHECK(written[0] == "a");
    CHECK(written[9] == "j");
    CHECK(written[10] == "6 lines of brokerd's log were lost here: whoever takes it did not keep up");
    queue.write({LogLevel::info, "after"});
    CHECK(wait_for(state, 12).back() == "after");
}

TEST_CASE("many threads lose no line while there is room", "[loop]") {
    FakeSink::State state;
    {
        LogQueue queue{std::make_unique<FakeSink>(state), {.pause = 1ms}};
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&queue, &state, i] {
                for (int line = 0; line < 500; ++line) {
                    queue.write({LogLevel::info, fmt::format("{} {}", i, line)});
                    if (line % 50 == i) give_room(state, 20);
                }
            });
        }
        for (auto& thread : threads) thread.join();
        give_room(state, 10'000);
    }
    REQUIRE(state.written.size() == 2000);
    std::map<char, int> next;
    for (const std::string& line : state.written) CHECK(std::stoi(line.substr(2)) == next[line[0]]++);
}

TEST_CASE("a log that nobody takes does not hold up the end", "[loop]") {
    FakeSink::State state;
    {
        LogQueue queue{std::make_unique<FakeSink>(state), {.pause = 1ms, .last_patience = 10ms}};
        queue.write({LogLevel::info, "x"});
    }
    CHECK(state.written.empty());
}

TEST_CASE("what is logged goes to the queue that is installed", "[loop]") {
    FakeSink::State state;
    state.room = 100;
    LogQueue queue{std::make_unique<FakeSink>(state)};
    {
        const InstalledLog installed{queue};
        log_info("{} and {}", 1, 2);
        log_entry({LogLevel::debug, "not this one"});
    }
    CHECK(state.written == std::vector<std::string>{"1 and 2"});
}

TEST_CASE("stderr is the journal only where JOURNAL_STREAM names it", "[loop]") {
    const Pipe pipe = *make_pipe();
    struct stat status {};
    REQUIRE(fstat(pipe.write_end.get(), &status) == 0);
    unsetenv("JOURNAL_STREAM");  // NOLINT(concurrency-mt-unsafe): one thread
    CHECK_FALSE(is_journal_stream(pipe.write_end.get()));
    setenv("JOURNAL_STREAM", fmt::format("{}:{}", status.st_dev, status.st_ino).c_str(),
           1);  // NOLINT(concurrency-mt-unsafe)
    CHECK(is_journal_stream(pipe.write_end.get()));
    CHECK_FALSE(is_journal_stream(0));
    unsetenv("JOURNAL_STREAM");  // NOLINT(concurrency-mt-unsafe)
}
