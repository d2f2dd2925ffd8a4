#include "daemon/control/plugin_call.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <cstring>
#include <optional>

#include "common/os/system_error.h"
#include "common/os/unique_fd.h"
#include "common/protocol/docker_plugin_api.h"

namespace brokerd {
namespace {

namespace http = boost::beast::http;
using Clock = std::chrono::steady_clock;

/// Waiting that a deadline and a cancellation can end.
class Patience {
public:
    Patience(std::chrono::milliseconds budget, int cancelled) noexcept
        : budget_{budget}, until_{Clock::now() + budget}, cancelled_{cancelled} {}

    /// Until `fd` (-1: nothing) has one of `events`, or, where it is given, at most for `pause`. Why not, if not.
    [[nodiscard]] std::optional<Error> wait(int fd, short events,
                                            std::optional<std::chrono::milliseconds> pause = {}) const {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until_ - Clock::now());
        if (left.count() <= 0) return Error{fmt::format("no answer within {} s", budget_.count() / 1000)};
        std::array<pollfd, 2> polled{{{cancelled_, POLLIN, 0}, {fd, events, 0}}};
        const auto time = pause ? std::min(*pause, left) : left;
        const int ready = ::poll(polled.data(), polled.size(), static_cast<int>(time.count()));
        if (ready < 0 && errno != EINTR) return Error{errno_text(errno)};
        if (polled[0].revents != 0) return Error{"brokerd is shutting down"};
        if (ready == 0 && !pause) return Error{fmt::format("no answer within {} s", budget_.count() / 1000)};
        return std::nullopt;
    }

private:
    std::chrono::milliseconds budget_;
    Clock::time_point until_;
    int cancelled_;
};

Result<UniqueFd> connect_to(const std::string& path, const Patience& patience) {
    /// A full backlog refuses a non-blocking connect at once, and nothing tells when there is room again.
    constexpr std::chrono::milliseconds kBacklogPause{10};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return fail(fmt::format("the path {} is too long for a socket", path));
    std::memcpy(address.sun_path, path.data(), path.size());
    UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!socket) return fail(fmt::format("cannot make a socket: {}", errno_text(errno)));
    while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        if (errno != EAGAIN && errno != EINTR)
            return fail(fmt::format("cannot connect to {}: {}", path, errno_text(errno)));
        if (const auto impatient = patience.wait(-1, 0, kBacklogPause)) return fail(*impatient);
    }
    return socket;
}

std::string bytes_of(const PluginCall& call) {
    const std::string_view type = call.content_type.empty() ? std::string_view{"application/json"} : call.content_type;
    return fmt::format(
        "POST /{} HTTP/1.1\r\nHost: plugin\r\nUser-Agent: brokerd/{}\r\nAccept: {}\r\nContent-Type: {}\r\n"
        "Content-Length: {}\r\nConnection: close\r\n\r\n{}",
        call.method, BROKERD_VERSION, docker_plugin_api::kMediaType, type, call.body.size(), call.body);
}

/// Collects an answer; informational ones (1xx) are skipped.
class Answer {
public:
    Answer() { restart(); }

    /// Whether the answer is complete after these bytes.
    Result<bool> take(std::string_view bytes) {
        input_ += bytes;
        while (!input_.empty() && !parser_->is_done()) {
            boost::beast::error_code error;
            const std::size_t consumed = parser_->put(boost::asio::buffer(input_), error);
            input_.erase(0, consumed);
            if (error && error != http::error::need_more)
                return fail(fmt::format("its answer is not valid: {}", error.message()));
            if (parser_->is_done() && parser_->get().result_int() / 100 == 1) restart();
            if (consumed == 0) break;
        }
        return parser_->is_done();
    }
    Result<bool> take_end() {
        boost::beast::error_code error;
        if (parser_->is_header_done()) parser_->put_eof(error);
        if (error || !parser_->is_done()) return fail(Error{"the connection ended before the answer did"});
        return true;
    }
    [[nodiscard]] ControlReply reply() {
        auto& message = parser_->get();
        const auto type = message[http::field::content_type];
        return {message.result_int(), {type.data(), type.size()}, std::move(message.body()), {}};
    }

private:
    void restart() {
        parser_.emplace();
        parser_->eager(true);
        parser_->body_limit(PluginCall::kMaxAnswerBytes);
    }

    std::optional<http::response_parser<http::string_body>> parser_;
    std::string input_;
};

}  // namespace

Result<ControlReply> perform(const PluginCall& call, std::chrono::milliseconds budget, int cancelled) {
    const Patience patience{budget, cancelled};
    auto socket = connect_to(call.socket, patience);
    if (!socket) return fail(socket.error());

    const std::string request = bytes_of(call);
    std::string_view unsent = request;
    Answer answer;
    std::array<char, 16384> buffer;
    for (;;) {
        // Both at once: an answer may come before the whole request is out.
        if (const auto impatient = patience.wait(socket->get(), unsent.empty() ? POLLIN : POLLIN | POLLOUT))
            return fail(*impatient);
        if (!unsent.empty()) {
            const ssize_t sent = ::send(socket->get(), unsent.data(), unsent.size(), MSG_NOSIGNAL);
            // A plugin that does not want the body may still have an answer to read.
            if (sent < 0 && errno != EAGAIN && errno != EINTR) unsent = {};
            if (sent > 0) unsent.remove_prefix(static_cast<std::size_t>(sent));
        }
        const ssize_t count = ::recv(socket->get(), buffer.data(), buffer.size(), 0);
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (count < 0) return fail(fmt::format("reading the answer failed: {}", errno_text(errno)));
        const auto complete = count == 0
                                  ? answer.take_end()
                                  : answer.take(std::string_view{buffer.data(), static_cast<std::size_t>(count)});
        if (!complete) return fail(complete.error());
        if (*complete) return answer.reply();
    }
}

}  // namespace brokerd
