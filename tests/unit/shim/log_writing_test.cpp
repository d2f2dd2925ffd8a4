#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "common/json.h"
#include "common/os/unique_fd.h"
#include "daemon/shim/file_output.h"
#include "daemon/shim/journal_output.h"
#include "daemon/shim/line_splitter.h"
#include "daemon/shim/log_files.h"
#include "daemon/shim/log_writer.h"
#include "tests/unit/temporary_directory.h"

using namespace brokerd;
using namespace std::chrono_literals;
using brokerd::test::TemporaryDirectory;
using Source = LogRecord::Source;

namespace {

class FakeOutput final : public LogOutput {
public:
    [[nodiscard]] bool write(const LogRecord& record) override {
        if (!works) return false;
        lines.push_back(std::string{to_text(record.source)} + (record.partial ? "+ " : ": ") +
                        std::string{record.message});
        return true;
    }

    bool works = true;
    std::vector<std::string> lines;
};

/// Feeds `text` in pieces of `piece` bytes; a partial line ends with "+".
std::vector<std::string> split(std::string_view text, std::size_t piece) {
    auto lines = std::make_unique<LineSplitter>();
    std::vector<std::string> out;
    const auto take = [&](std::string_view line, bool partial) {
        out.push_back(std::string{line} + (partial ? "+" : ""));
    };
    while (!text.empty()) {
        const auto room = lines->room();
        const std::size_t count = std::min({piece, text.size(), room.size()});
        std::copy_n(text.begin(), count, room.begin());
        lines->added(count, take);
        text.remove_prefix(count);
    }
    lines->end(take);
    return out;
}

std::string content(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream{path}.rdbuf();
    return text.str();
}

const LogWriter::Clock::time_point kStart{100h};

/// A socket as journald's, in a directory of its own.
struct FakeJournal {
    explicit FakeJournal(const std::string& path) : fd{socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)} {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) throw_errno("bind");
    }
    [[nodiscard]] std::string receive() const {
        std::string text(64 << 10, '\0');
        const ssize_t got = recv(fd.get(), text.data(), text.size(), 0);
        text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        return text;
    }
    UniqueFd fd;
};

}  // namespace

TEST_CASE("a stream becomes lines, however its bytes arrive", "[shim]") {
    for (const std::size_t piece : {1U, 2U, 3U, 1000U}) {
        CHECK(split("one\n\ntwo\nlast", piece) == std::vector<std::string>{"one", "", "two", "last"});
        CHECK(split("\n", piece) == std::vector<std::string>{""});
        CHECK(split("", piece).empty());
    }
}

TEST_CASE("a line that is too long comes in parts, with whole characters", "[shim]") {
    constexpr std::size_t kMax = log_files::kMaxMessageBytes;
    const std::string longest(kMax, 'a');
    CHECK(split(longest + "b\nc\n", 4096) == std::vector<std::string>{longest + "+", "b", "c"});
    CHECK(split(longest + "\n", 4096) == std::vector<std::string>{longest + "+", ""});
    CHECK(split(std::string(kMax - 1, 'a') + "\n", 4096) == std::vector<std::string>{std::string(kMax - 1, 'a')});
    for (const std::string character : {"ä", "€", "😀"}) {
        for (std::size_t before = 0; before < 4; ++before) {
            std::string text(before, 'x');
            while (text.size() < kMax + 10) text += character;
            const auto parts = split(text, 999);
            REQUIRE(parts.size() == 2);
            CHECK((parts[0].size() - 1 - before) % character.size() == 0);
            CHECK(parts[0].size() - 1 + parts[1].size() == text.size());
        }
    }
    // What is no UTF-8 at all is cut anywhere, and loses nothing.
    CHECK(split(std::string(2 * kMax + 5, '\x80'), 5000).size() == 3);
}

TEST_CASE("a flood is left out, and told of once it has passed", "[shim]") {
    FakeOutput output;
    LogWriter log{output};
    for (int i = 0; i < 100'000; ++i) log.line(Source::standard_output, "x", false, kStart);
    CHECK(output.lines.size() == LogWriter::kBurstLines);
    REQUIRE(log.next() == kStart + LogWriter::kTellAfter);
    log.tell(kStart + LogWriter::kTellAfter - 1ms);
    CHECK(output.lines.size() == LogWriter::kBurstLines);
    log.tell(kStart + LogWriter::kTellAfter);
    CHECK(output.lines.back() == "brokerd: 95000 messages were suppressed");
    CHECK_FALSE(log.next());
    log.line(Source::standard_error, "again", false, kStart + 2s);
    CHECK(output.lines.back() == "stderr: again");
}

TEST_CASE("the rate counts bytes, too, and comes back with time", "[shim]") {
    FakeOutput output;
    LogWriter log{output};
    const std::string line(log_files::kMaxMessageBytes, 'x');
    for (int i = 0; i < 1000; ++i) log.line(Source::standard_output, line, false, kStart);
    CHECK(output.lines.size() == LogWriter::kBurstBytes / line.size());
    output.lines.clear();
    for (int i = 0; i < 1000; ++i) log.line(Source::standard_output, line, false, kStart + 500ms);
    CHECK(output.lines.size() == LogWriter::kBytesPerSecond / 2 / line.size());
}

TEST_CASE("lines that cannot be written are counted and told first", "[shim]") {
    FakeOutput output;
    LogWriter log{output};
    output.works = false;
    log.line(Source::standard_output, "one", false, kStart);
    log.line(Source::standard_output, "two", false, kStart);
    REQUIRE(log.next());
    log.tell(kStart + 5s);
    CHECK(log.next() > kStart + 5s);
    output.works = true;
    log.line(Source::standard_output, "three", true, kStart + 5s);
    CHECK(output.lines == std::vector<std::string>{"brokerd: 2 lines were lost", "stdout+ three"});
    CHECK_FALSE(log.next());

    output.works = false;
    log.line(Source::standard_output, "four", false, kStart + 6s);
    output.works = true;
    log.finish(kStart + 6s);
    CHECK(output.lines.back() == "brokerd: 1 line was lost");
}

TEST_CASE("a file holds a line of JSON for each line, whatever its bytes", "[shim]") {
    const TemporaryDirectory directory;
    const std::string place = directory / "logs/abc";
    FileOutput output{place};
    REQUIRE(output.write({Source::standard_output, "a \"b\" \x1b[31m\xff", false, std::chrono::system_clock::now()}));
    REQUIRE(output.write({Source::standard_error, "ä", true, std::chrono::system_clock::now()}));
    std::istringstream lines{content(place + "/current")};
    std::string line;
    std::getline(lines, line);
    auto entry = parse_json(line);
    REQUIRE(entry);
    CHECK(string_member(*entry, "Stream") == "stdout");
    CHECK(string_member(*entry, "Message") == R"(a "b" \x1b[31m\xff)");
    std::getline(lines, line);
    entry = parse_json(line);
    REQUIRE(entry);
    CHECK(string_member(*entry, "Message") == "ä");
    CHECK(entry->FindMember("Partial")->value.GetBool());
    struct stat what {};
    REQUIRE(stat(place.c_str(), &what) == 0);
    CHECK((what.st_mode & 07777U) == 0700);
    REQUIRE(stat((place + "/current").c_str(), &what) == 0);
    CHECK((what.st_mode & 07777U) == 0600);
}

TEST_CASE("log files stay within their bounds", "[shim]") {
    const TemporaryDirectory directory;
    FileOutput output{directory / "abc"};
    const std::string hostile(log_files::kMaxMessageBytes, '\x01');  // six bytes for each
    for (int i = 0; i < 100; ++i) REQUIRE(output.write({Source::standard_output, hostile, false, {}}));
    CHECK(std::filesystem::file_size(directory / "abc/current") <= log_files::kMaxFileBytes);
    CHECK(std::filesystem::file_size(directory / "abc/previous") <= log_files::kMaxFileBytes);
    CHECK(std::distance(std::filesystem::directory_iterator{directory / "abc"}, {}) == 2);
}

TEST_CASE("half a line that a killed writer left does not damage the next one", "[shim]") {
    const TemporaryDirectory directory;
    std::filesystem::create_directory(directory / "abc");
    test::write_file(directory / "abc/current", "{\"Time\":\"20");
    FileOutput output{directory / "abc"};
    REQUIRE(output.write({Source::standard_output, "x", false, {}}));
    CHECK(content(directory / "abc/current").starts_with("{\"Time\":\"20\n{\"Time\":"));
}

TEST_CASE("a log directory that cannot be made is a failure until it can", "[shim]") {
    const TemporaryDirectory directory;
    test::write_file(directory / "logs", "");
    FileOutput output{directory / "logs/abc"};
    CHECK_FALSE(output.write({Source::standard_output, "x", false, {}}));
    std::filesystem::remove(directory / "logs");
    CHECK(output.write({Source::standard_output, "x", false, {}}));
}

TEST_CASE("the journal gets the fields that find a plugin's lines", "[shim]") {
    const TemporaryDirectory directory;
    const FakeJournal journal{directory / "socket"};
    JournalOutput output{"0123abcd", "vieux/sshfs:latest\nPRIORITY=0", directory / "socket"};
    REQUIRE(output.write({Source::standard_error, "x=y \xff", true, {}}));
    CHECK(journal.receive() ==
          "PRIORITY=6\nSYSLOG_IDENTIFIER=vieux/sshfs:latest?PRIORITY=0\nPLUGIN_NAME=vieux/sshfs:latest?PRIORITY=0\n"
          "PLUGIN_ID=0123abcd\nPLUGIN_STREAM=stderr\nPLUGIN_PARTIAL=1\nMESSAGE=x=y \xff\n");
    REQUIRE(output.write({Source::broker, "2 lines were lost", false, {}}));
    CHECK(journal.receive().starts_with("PRIORITY=4\n"));
}

TEST_CASE("a journal that is missing, stuck or started anew never stops the writer", "[shim]") {
    const TemporaryDirectory directory;
    JournalOutput output{"id", "name", directory / "socket"};
    const LogRecord record{Source::standard_output, "x", false, {}};
    CHECK_FALSE(output.write(record));
    {
        const FakeJournal journal{directory / "socket"};
        int written = 0;
        while (written < 100'000 && output.write(record)) ++written;
        CHECK(written < 100'000);  // nobody reads
        CHECK_FALSE(output.write(record));
        CHECK_FALSE(journal.receive().empty());
        CHECK(output.write(record));
    }
    CHECK_FALSE(output.write(record));
    std::filesystem::remove(directory / "socket");
    const FakeJournal journal{directory / "socket"};
    CHECK(output.write(record));
    CHECK_FALSE(journal.receive().empty());
}
