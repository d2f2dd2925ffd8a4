#include "common/http_exchange.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/parser.hpp>
#include <cerrno>
#include <limits>
#include <optional>

#include "common/os/system_error.h"

namespace brokerd {
namespace {

namespace http = boost::beast::http;
using Clock = std::chrono::steady_clock;
using Kind = TransportError::Kind;

/// Ours: larger than any header block that an HTTP server sends, small enough to be no burden.
constexpr std::uint32_t kMaxHeaderBytes = 32u << 10;
constexpr std::size_t kReadBytes = 64u << 10;

std::string request_head(const HttpRequest& request) {
    std::string head = fmt::format("{} {} HTTP/1.1\r\nHost: brokerd\r\nConnection: close\r\nUser-Agent: brokerd/{}\r\n",
                                   request.method, request.target, BROKERD_VERSION);
    if (!request.registry_auth.empty()) head += fmt::format("X-Registry-Auth: {}\r\n", request.registry_auth);
    if (request.method == "POST") head += fmt::format("Content-Type: {}\r\n", request.content_type);
    if (request.stream != nullptr) {
        head += "Transfer-Encoding: chunked\r\n";
    } else if (request.method == "POST") {
        head += fmt::format("Content-Length: {}\r\n", request.body.size());
    }
    return head += "\r\n";
}

/// The bytes of a request, as far as they are known.
class RequestSender {
public:
    explicit RequestSender(const HttpRequest& request) : pending_{request_head(request)}, stream_{request.stream} {
        if (stream_ == nullptr) pending_ += request.body;
        stream_ended_ = stream_ == nullptr;
    }

    [[nodiscard]] bool has_stream() const noexcept { return stream_ != nullptr; }
    [[nodiscard]] bool has_bytes() const noexcept { return sent_ < pending_.size(); }
    [[nodiscard]] std::string_view bytes() const { return std::string_view{pending_}.substr(sent_); }
    void sent(std::size_t count) noexcept { sent_ += count; }
    void stop() noexcept {
        sent_ = pending_.size();
        stream_ended_ = true;
    }

    /// Whether all is sent that was read, and more is to be read.
    [[nodiscard]] bool wants_body() const noexcept { return !stream_ended_ && !has_bytes(); }
    [[nodiscard]] int body_fd() const noexcept { return stream_->fd; }
    /// Reads a piece and makes a chunk of it (RFC 9112 section 7.1). A text is the reason why the body ends too early.
    [[nodiscard]] std::optional<std::string> read_body() {
        piece_.resize(kPieceBytes);
        const ssize_t count = ::read(stream_->fd, piece_.data(), piece_.size());
        if (count < 0 && (errno == EINTR || errno == EAGAIN)) return std::nullopt;
        if (count < 0) return fmt::format("cannot read what is to be sent: {}", errno_text(errno));
        sent_ = 0;
        if (count > 0) {
            pending_ = fmt::format("{:x}\r\n", count);
            pending_.append(piece_, 0, static_cast<std::size_t>(count));
            pending_ += "\r\n";
            return std::nullopt;
        }
        stream_ended_ = true;
        std::string missing = stream_->missing ? stream_->missing() : std::string{};
        if (!missing.empty()) return missing;
        pending_ = "0\r\n\r\n";
        return std::nullopt;
    }

private:
    static constexpr std::size_t kPieceBytes = 128u << 10;

    std::string pending_;
    std::size_t sent_ = 0;
    const BodyStream* stream_;
    bool stream_ended_ = false;
    std::string piece_;
};

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

    Exchange(UniqueFd socket, const HttpRequest& request, Clock::time_point deadline, UnixHttp::Limits limits,
             const UnixHttp::Receiver* receive, UnixHttp::Wires wires)
        : socket_{std::move(socket)},
          sender_{request},
          deadline_{deadline},
          limits_{limits},
          receive_{receive},
          wires_{wires} {
        start_answer();
    }

    Outcome run() {
        while (!done_ && !failure_) {
            const short events = wait();
            if (failure_ || done_) break;
            if ((events & POLLOUT) != 0) send_some();
            if (failure_) break;
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
        return receive_ != nullptr && parser_->is_header_done() && parser_->get().result_int() / 100 == 2;
    }

    /// Milliseconds for poll(2): rounded up, so that it does not spin before the deadline.
    [[nodiscard]] int time_left() const {
        if (streaming()) return -1;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
        return static_cast<int>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<int>::max()));
    }

    /// What the socket is ready for; nothing where the exchange ended meanwhile.
    short wait() {
        std::array<pollfd, 4> polled{
            {{socket_.get(), POLLIN, 0}, {wires_.hangup_fd, 0, 0}, {wires_.interrupt_fd, POLLIN, 0}, {-1, POLLIN, 0}}};
        if (sender_.has_bytes()) polled[0].events |= POLLOUT;
        if (sender_.wants_body()) polled[3].fd = sender_.body_fd();
        const int time = time_left();
        // Nothing is read once the time is over: a peer that sends a byte at a time must not outrun the deadline.
        const int ready = time == 0 ? 0 : ::poll(polled.data(), polled.size(), time);
        if (ready < 0 && errno != EINTR) fail_with(Kind::disconnected, errno_text(errno));
        if (ready == 0) fail_with(Kind::timed_out, "no complete answer in time");
        if (ready <= 0) return 0;
        if (polled[1].revents != 0) done_ = stopped_here_ = true;
        if (polled[2].revents != 0) fail_with(Kind::interrupted);
        if (polled[3].revents != 0 && !failure_) read_body();
        return polled[0].revents;
    }

    void read_body() {
        restart_time();
        if (auto reason = sender_.read_body()) fail_with(Kind::body_failed, std::move(*reason));
    }

    void send_some() {
        const std::string_view bytes = sender_.bytes();
        const ssize_t count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count >= 0) {
            sender_.sent(static_cast<std::size_t>(count));
            restart_time();
        } else if (errno == EPIPE || errno == ECONNRESET) {
            sender_.stop();  // it wants no more of the request; its answer may be here all the same
        } else if (errno != EAGAIN && errno != EINTR) {
            fail_with(Kind::disconnected, errno_text(errno));
        }
    }

    void restart_time() {
        if (sender_.has_stream()) deadline_ = Clock::now() + limits_.time;
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
        reply.plugin_name = message["Docker-Plugin-Name"].to_string();
        reply.body = std::move(message.body());
        return reply;
    }

    UniqueFd socket_;
    RequestSender sender_;
    Clock::time_point deadline_;
    UnixHttp::Limits limits_;
    const UnixHttp::Receiver* receive_;
    UnixHttp::Wires wires_;
    std::optional<Parser> parser_;
    std::string input_;
    bool done_ = false;
    bool stopped_here_ = false;
    std::optional<TransportError> failure_;
};

}  // namespace

Result<UnixHttp::Streamed, TransportError> http_exchange(UniqueFd socket, const HttpRequest& request,
                                                         std::chrono::steady_clock::time_point deadline,
                                                         UnixHttp::Limits limits, const UnixHttp::Receiver* receive,
                                                         UnixHttp::Wires wires) {
    return Exchange{std::move(socket), request, deadline, limits, receive, wires}.run();
}

}  // namespace brokerd
