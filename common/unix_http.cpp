#include "common/unix_http.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/parser.hpp>
#include <cerrno>
#include <cstring>
#include <limits>

#include "common/os/system_error.h"
#include "common/os/unique_fd.h"

namespace brokerd {
namespace {

namespace http = boost::beast::http;
using Clock = std::chrono::steady_clock;
using Deadline = std::optional<Clock::time_point>;
using Kind = TransportError::Kind;

/// Ours: larger than any header block that an HTTP server sends, small enough to be no burden.
constexpr std::uint32_t kMaxHeaderBytes = 32u << 10;
constexpr std::size_t kReadBytes = 64u << 10;

Failure<TransportError> failure(Kind kind, std::string detail = {}) {
    return fail(TransportError{kind, std::move(detail)});
}

Failure<TransportError> connect_failure(int code) {
    switch (code) {
        case ENOENT:
        case ENOTDIR:
            return failure(Kind::no_socket, errno_text(code));
        case ECONNREFUSED:
            return failure(Kind::refused, errno_text(code));
        case EACCES:
        case EPERM:
            return failure(Kind::permission_denied, errno_text(code));
        case EAGAIN:
            return failure(Kind::timed_out, "nobody accepted the connection");
        default:
            return failure(Kind::cannot_connect, errno_text(code));
    }
}

/// A connected socket, non-blocking. connect(2) on a Unix socket whose backlog is full does not go on in the
/// background: the only way to wait for a place, with a deadline, is a blocking connect under SO_SNDTIMEO (unix(7)).
Result<UniqueFd, TransportError> connect_to(const std::string& path, std::chrono::milliseconds time) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) {
        return failure(Kind::cannot_connect,
                       fmt::format("the path of a Unix socket has 1 to {} bytes", sizeof address.sun_path - 1));
    }
    std::memcpy(address.sun_path, path.data(), path.size());

    UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (!socket) return failure(Kind::cannot_connect, errno_text(errno));
    timeval timeout{};
    timeout.tv_sec = time.count() / 1000;
    timeout.tv_usec = std::max<suseconds_t>(time.count() % 1000 * 1000, 1);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        if (errno != EINTR) return connect_failure(errno);
    }
    return socket;
}

std::string request_bytes(const HttpRequest& request) {
    std::string bytes =
        fmt::format("{} {} HTTP/1.1\r\nHost: brokerd\r\nConnection: close\r\nUser-Agent: brokerd/{}\r\n",
                    request.method, request.target, BROKERD_VERSION);
    if (request.method == "POST") {
        bytes += fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n", request.body.size());
    }
    bytes += "\r\n";
    bytes += request.body;
    return bytes;
}

/// A body in a string. Beast's own string_body reserves what Content-Length announces, which here anybody may write.
struct TextBody {
    using value_type = std::string;

    class reader {
    public:
        template <bool IsRequest, class Fields>
        reader(http::header<IsRequest, Fields>&, std::string& body) : body_{body} {}

        void init(const boost::optional<std::uint64_t>&, boost::beast::error_code& error) { error = {}; }
        template <class Buffers>
        std::size_t put(const Buffers& buffers, boost::beast::error_code& error) {
            error = {};
            const std::size_t before = body_.size();
            for (const boost::asio::const_buffer buffer : boost::beast::buffers_range_ref(buffers)) {
                body_.append(static_cast<const char*>(buffer.data()), buffer.size());
            }
            return body_.size() - before;
        }
        void finish(boost::beast::error_code& error) { error = {}; }

    private:
        std::string& body_;
    };
};

/// One request and its answer on a connected socket.
class Exchange {
public:
    using Outcome = Result<UnixHttp::Streamed, TransportError>;

    Exchange(UniqueFd socket, std::string request, Deadline deadline, UnixHttp::Limits limits)
        : socket_{std::move(socket)}, request_{std::move(request)}, deadline_{deadline}, limits_{limits} {
        start_answer();
    }

    /// `receive` gets the body of a 200 piece by piece; without it the body is collected.
    Outcome run(const UnixHttp::Receiver* receive, int hangup_fd) {
        receive_ = receive;
        hangup_fd_ = hangup_fd;
        while (!done_ && !failure_) {
            const short events = wait();
            if (failure_ || done_) break;
            if ((events & POLLOUT) != 0) send_some();
            if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) receive_some();
        }
        if (failure_) return fail(std::move(*failure_));
        return UnixHttp::Streamed{reply(), stopped_here_};
    }

private:
    using Parser = http::response_parser<TextBody>;

    void fail_with(Kind kind, std::string detail = {}) { failure_ = TransportError{kind, std::move(detail)}; }

    void start_answer() {
        parser_.emplace();
        parser_->eager(true);
        parser_->header_limit(kMaxHeaderBytes);
        // Beast's own limit counts a whole body, which a stream does not have: take_body() counts what is kept.
        parser_->body_limit(std::numeric_limits<std::uint64_t>::max());
    }

    [[nodiscard]] bool streaming() const {
        return receive_ != nullptr && parser_->is_header_done() && parser_->get().result_int() == 200;
    }

    /// Milliseconds for poll(2): rounded up, so that it does not spin before the deadline.
    [[nodiscard]] int time_left() const {
        if (!deadline_ || streaming()) return -1;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - Clock::now()).count();
        return static_cast<int>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<int>::max()));
    }

    /// What the socket is ready for; nothing where the exchange ended meanwhile.
    short wait() {
        std::array<pollfd, 2> polled{{{socket_.get(), POLLIN, 0}, {hangup_fd_, 0, 0}}};
        if (sent_ < request_.size()) polled[0].events |= POLLOUT;
        const int time = time_left();
        // Nothing is read once the time is over: a peer that sends a byte at a time must not outrun the deadline.
        const int ready = time == 0 ? 0 : ::poll(polled.data(), polled.size(), time);
        if (ready < 0 && errno != EINTR) fail_with(Kind::disconnected, errno_text(errno));
        if (ready == 0) fail_with(Kind::timed_out, "no complete answer in time");
        if (ready <= 0) return 0;
        if (polled[1].revents != 0) done_ = stopped_here_ = true;
        return polled[0].revents;
    }

    void send_some() {
        const ssize_t count =
            ::send(socket_.get(), request_.data() + sent_, request_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count >= 0) {
            sent_ += static_cast<std::size_t>(count);
        } else if (errno == EPIPE || errno == ECONNRESET) {
            sent_ = request_.size();  // it wants no more of the request; its answer may be here all the same
        } else if (errno != EAGAIN && errno != EINTR) {
            fail_with(Kind::disconnected, errno_text(errno));
        }
    }

    void receive_some() {
        const std::size_t kept = input_.size();
        input_.resize(kept + kReadBytes);
        const ssize_t count = ::recv(socket_.get(), input_.data() + kept, kReadBytes, MSG_DONTWAIT);
        const int code = errno;
        input_.resize(kept + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
        if (count > 0) {
            parse();
        } else if (count == 0) {
            finish_at_end();
        } else if (code != EAGAIN && code != EINTR) {
            fail_with(Kind::disconnected, errno_text(code));
        }
    }

    void parse() {
        while (!input_.empty() && !done_ && !failure_) {
            boost::beast::error_code error;
            const std::size_t used = parser_->put(boost::asio::const_buffer{input_.data(), input_.size()}, error);
            input_.erase(0, used);
            if (error && error != http::error::need_more) {
                const bool large = error == http::error::header_limit || error == http::error::body_limit;
                return fail_with(large ? Kind::too_large : Kind::malformed, error.message());
            }
            take_body();
            if (parser_->is_done()) end_of_message();
            if (error == http::error::need_more || used == 0) return;
        }
    }

    /// A body may also end with the connection: the parser knows whether this one does.
    void finish_at_end() {
        boost::beast::error_code error;
        if (parser_->got_some()) parser_->put_eof(error);
        if (!parser_->got_some() || error) return fail_with(Kind::disconnected, "it closed the connection");
        take_body();
        done_ = true;
    }

    /// 1xx are announcements: the answer follows (RFC 9110 section 15.2).
    void end_of_message() {
        if (parser_->get().result_int() / 100 == 1) {
            start_answer();
        } else {
            done_ = true;
        }
    }

    void take_body() {
        if (!parser_->is_header_done()) return;
        std::string& body = parser_->get().body();
        if (streaming() && !body.empty() && !(*receive_)(body)) done_ = stopped_here_ = true;
        if (body.size() > limits_.body_bytes) fail_with(Kind::too_large, "the answer is larger than allowed");
    }

    HttpReply reply() {
        if (!parser_->is_header_done()) return {};
        auto& message = parser_->get();
        HttpReply reply;
        reply.status = static_cast<int>(message.result_int());
        reply.server = message[http::field::server].to_string();
        reply.api_version = message["Api-Version"].to_string();
        reply.body = std::move(message.body());
        return reply;
    }

    UniqueFd socket_;
    std::string request_;
    std::size_t sent_ = 0;
    Deadline deadline_;
    UnixHttp::Limits limits_;
    const UnixHttp::Receiver* receive_ = nullptr;
    int hangup_fd_ = -1;
    std::optional<Parser> parser_;
    std::string input_;
    bool done_ = false;
    bool stopped_here_ = false;
    std::optional<TransportError> failure_;
};

Exchange::Outcome perform(const std::string& path, const HttpRequest& request, UnixHttp::Limits limits,
                          const UnixHttp::Receiver* receive, int hangup_fd) {
    const auto deadline = Clock::now() + limits.time;
    auto socket = connect_to(path, limits.time);
    if (!socket) return fail(socket.error());
    return Exchange{std::move(*socket), request_bytes(request), deadline, limits}.run(receive, hangup_fd);
}

std::string percent_encoded(std::string_view text, std::string_view kept) {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (plain || kept.find(c) != std::string_view::npos) {
            out += c;
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

}  // namespace

Result<HttpReply, TransportError> UnixHttp::exchange(const HttpRequest& request, Limits limits) const {
    auto outcome = perform(path_, request, limits, nullptr, -1);
    if (!outcome) return fail(outcome.error());
    return std::move(outcome->reply);
}

Result<UnixHttp::Streamed, TransportError> UnixHttp::stream(const HttpRequest& request, Limits limits,
                                                            const Receiver& receive, int hangup_fd) const {
    return perform(path_, request, limits, &receive, hangup_fd);
}

std::string percent_encoded_path(std::string_view text) {
    std::string out;
    for (std::size_t start = 0; start <= text.size();) {
        const std::size_t end = std::min(text.find('/', start), text.size());
        const std::string_view part = text.substr(start, end - start);
        out += percent_encoded(part, part == "." || part == ".." ? "" : "-._~:");
        if (end < text.size()) out += '/';
        start = end + 1;
    }
    return out;
}

std::string percent_encoded_value(std::string_view text) {
    return percent_encoded(text, "-._~");
}

}  // namespace brokerd
