// The client and the plugin of tests/bench/proxy, in one thread: on a small machine they share the core that the proxy
// does not use, and a batch of events then serves both without a switch between processes.
//
//   bench_driver [--certificate FILE --key FILE] unix:PATH | tcp:0 | tls:0 …
//
// listens as the plugin on these addresses and prints their ports as a JSON array. Then each line on stdin is a
// command, and answered by one line of JSON:
//   run|hold to=ADDRESS[,ADDRESS] [connections=N] [path=P] [body=N] [answer=N] [warm_up_ms=N] [ms=N] [requests=N]
//   [churn=1] release
// `hold` keeps its connections open after one request each (none with silent=1) until `release`. It ends with its
// stdin.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>

#include <charconv>
#include <cstdio>
#include <deque>
#include <stdexcept>

#include "tests/bench/load/load.h"
#include "tests/bench/load/origin.h"

namespace brokerd::bench {
namespace {

/// The lines of stdin.
class Commands : public Ready {
public:
    explicit Commands(Poller& poller) {
        ::fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
        poller.watch(STDIN_FILENO, EPOLLIN, *this);
    }
    void on_ready(std::uint32_t /*events*/) override {
        std::array<char, 65536> buffer;
        ssize_t bytes = 0;
        while ((bytes = ::read(STDIN_FILENO, buffer.data(), buffer.size())) > 0) {
            text_.append(buffer.data(), static_cast<std::size_t>(bytes));
        }
        over = bytes == 0;
        for (std::size_t end = 0; (end = text_.find('\n')) != std::string::npos; text_.erase(0, end + 1)) {
            lines.push_back(text_.substr(0, end));
        }
    }
    std::deque<std::string> lines;
    bool over = false;

private:
    std::string text_;
};

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (std::size_t end = 0; end != std::string_view::npos; text.remove_prefix(std::min(text.size(), end + 1))) {
        end = text.find(separator);
        if (const auto part = text.substr(0, end); !part.empty()) parts.push_back(part);
    }
    return parts;
}

std::uint64_t number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) throw std::invalid_argument{std::string{text}};
    return value;
}

Task parse(const std::vector<std::string_view>& words) {
    Task task;
    task.hold = words.at(0) == "hold";
    for (std::size_t index = 1; index < words.size(); ++index) {
        const std::string_view key = words[index].substr(0, words[index].find('='));
        const std::string_view value = words[index].substr(std::min(words[index].size(), key.size() + 1));
        if (key == "to") {
            for (const auto address : split(value, ',')) task.to.emplace_back(address);
        } else if (key == "path") {
            task.path = value;
        } else if (key == "connections") {
            task.connections = static_cast<unsigned>(number(value));
        } else if (key == "body") {
            task.body = number(value);
        } else if (key == "answer") {
            task.answer = number(value);
        } else if (key == "warm_up_ms") {
            task.warm_up = std::chrono::milliseconds{number(value)};
        } else if (key == "ms") {
            task.time = std::chrono::milliseconds{number(value)};
        } else if (key == "requests") {
            task.requests = number(value);
        } else if (key == "churn") {
            task.churn = number(value) != 0;
        } else if (key == "silent") {
            task.silent = number(value) != 0;
        } else {
            throw std::invalid_argument{std::string{words[index]}};
        }
    }
    if (task.to.empty()) throw std::invalid_argument{"no address"};
    return task;
}

/// Error texts may hold bytes of an answer.
std::string quoted(std::string_view text) {
    std::string result = "\"";
    for (const char letter : text) {
        const auto code = static_cast<unsigned char>(letter);
        if (code < 0x20 || code >= 0x7f || letter == '"' || letter == '\\') {
            result += fmt::format("\\u{:04x}", code);
        } else {
            result += letter;
        }
    }
    return result + '"';
}

std::string to_json(const Result& result) {
    return fmt::format(
        R"({{"all": {}, "measured": {}, "seconds": {}, "errors": {}, "first_error": {}, "p50_us": {}, "p99_us": {}, "p999_us": {}}})",
        result.all, result.measured, result.seconds, result.errors, quoted(result.first_error),
        static_cast<double>(result.latency.percentile(50)) / 1e3,
        static_cast<double>(result.latency.percentile(99)) / 1e3,
        static_cast<double>(result.latency.percentile(99.9)) / 1e3);
}

void print(const std::string& line) {
    std::puts(line.c_str());
    std::fflush(stdout);
}

void serve(Poller& poller) {
    Commands commands{poller};
    std::vector<std::unique_ptr<Load>> held;
    while (!commands.over) {
        poller.poll(-1);
        for (; !commands.lines.empty(); commands.lines.pop_front()) {
            const auto words = split(commands.lines.front(), ' ');
            if (words.empty()) continue;
            if (words[0] == "release") {
                held.clear();
                print("{}");
                continue;
            }
            Task task = parse(words);
            const bool hold = task.hold;
            auto load = std::make_unique<Load>(poller, std::move(task));
            const std::string answer = to_json(load->run());
            if (hold) held.push_back(std::move(load));
            load.reset();
            print(answer);
        }
    }
}

int run(const std::vector<std::string>& arguments) {
    std::string certificate, key;
    std::vector<Address> addresses;
    for (std::size_t index = 0; index < arguments.size(); ++index) {
        if (arguments[index] == "--certificate") {
            certificate = arguments.at(++index);
        } else if (arguments[index] == "--key") {
            key = arguments.at(++index);
        } else {
            addresses.emplace_back(arguments[index]);
        }
    }
    std::unique_ptr<SSL_CTX, SslFree> tls;
    if (!certificate.empty()) tls = server_context(certificate.c_str(), key.c_str());
    Poller poller;
    Origin origin{poller, tls.get()};
    std::vector<unsigned> ports;
    for (const Address& address : addresses) ports.push_back(origin.listen(address));
    print(fmt::format("[{}]", fmt::join(ports, ", ")));
    serve(poller);
    return 0;
}

}  // namespace
}  // namespace brokerd::bench

int main(int argc, char** argv) try {
    return brokerd::bench::run({argv + 1, argv + argc});
} catch (const std::exception& error) {
    fmt::print(stderr, "bench_driver: {}\n", error.what());
    return 1;
}
