#include "daemon/registry/http_pool.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>

#include "common/base64.h"
#include "daemon/registry/registry_reply.h"

namespace brokerd {
namespace {

/// Ours: a job talks to two or three hosts, with a few layers at once.
constexpr std::size_t kMaxIdle = 8;
/// Ours: bodies of redirects and errors are read up to this for the sake of the connection.
constexpr std::size_t kMaxSkipped = std::size_t{64} << 10;

RegistryError cancelled() {
    return {RegistryErrorKind::cancelled, "the transfer was cancelled", false, {}};
}

std::string decoded(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto digit = [&text](std::size_t at) -> int {
            static constexpr std::string_view kDigits = "0123456789abcdef";
            const auto found =
                at < text.size() ? kDigits.find(static_cast<char>(text[at] | 0x20)) : std::string_view::npos;
            return found == kDigits.npos ? -1 : static_cast<int>(found);
        };
        if (text[i] == '%' && digit(i + 1) >= 0 && digit(i + 2) >= 0) {
            result += static_cast<char>(digit(i + 1) * 16 + digit(i + 2));
            i += 2;
        } else {
            result += text[i];
        }
    }
    return result;
}

/// The field that a proxy asks for, or nothing.
std::string proxy_authorization(const Url& proxy) {
    if (proxy.user_info.empty()) return {};
    return fmt::format("Proxy-Authorization: Basic {}\r\n", base64_encoded(decoded(proxy.user_info)));
}

}  // namespace

HttpExchange::~HttpExchange() {
    if (connection_ && connection_->is_reusable()) pool_->give_back(url_, std::move(connection_));
}

RegistryResult<std::monostate> HttpExchange::read_body(const RegistryConnection::Receiver& receive) {
    return connection_->read_body(
        [&](std::string_view piece) -> RegistryResult<std::monostate> {
            // Where bytes never run out, nobody waits, and so nobody would see it.
            if (pool_->is_cancelled()) return fail(cancelled());
            return receive(piece);
        },
        patience_);
}

RegistryResult<std::string> HttpExchange::body(std::size_t limit) {
    std::string text;
    const auto too_large = [limit] {
        return fail(RegistryError{
            RegistryErrorKind::invalid, fmt::format("the answer is larger than {} bytes", limit), false, {}});
    };
    if (answer_.length > limit) return too_large();
    const auto read = read_body([&](std::string_view piece) -> RegistryResult<std::monostate> {
        if (piece.size() > limit - text.size()) return too_large();
        text += piece;
        return std::monostate{};
    });
    if (!read) return fail(read.error());
    return text;
}

void HttpExchange::skip_body() {
    if (!body(kMaxSkipped)) connection_.reset();
}

bool HttpPool::is_cancelled() const {
    pollfd polled{cancel_fd_, POLLIN, 0};
    return cancel_fd_ >= 0 && ::poll(&polled, 1, 0) > 0;
}

RegistryResult<HttpExchange> HttpPool::send(const HttpCall& call) {
    if (is_cancelled()) return fail(cancelled());
    const std::string head = head_of(call);
    const bool is_head = call.method == "HEAD";
    for (;;) {
        Connection connection = take_idle(call.url);
        const bool was_idle = connection != nullptr;
        if (!was_idle) {
            auto opened = open(call.url);
            if (!opened) return fail(opened.error());
            connection = std::move(*opened);
        }
        const TransferPatience patience = patience_for(call);
        auto answer = connection->exchange(head, call.body, is_head, patience);
        if (answer) return HttpExchange{*this, std::move(connection), std::move(*answer), call.url, patience};
        // The server closed an idle connection while the request was under way: nothing has happened yet. Of a body it
        // may have kept a part: whoever sent that has to ask how much.
        if (was_idle && call.body == nullptr && answer.error().transient && !connection->answer_began()) continue;
        auto error = answer.error();
        error.message = fmt::format("{}: {}", call.url.authority(), error.message);
        return fail(std::move(error));
    }
}

RegistryResult<bool> HttpPool::speaks_tls(const Url& https_url) {
    auto stream = connect(https_url);
    if (!stream) return fail(stream.error());
    const auto context = tls_.context_for(https_url, false);
    if (!context) return fail(context.error());
    const TransferPatience patience{settings_.timeouts.connect, settings_.timeouts.connect, cancel_fd_};
    const auto started = stream->start_tls(**context, https_url.host, patience);
    if (started) {
        give_back(https_url, std::make_unique<RegistryConnection>(std::move(*stream)));
        return true;
    }
    if (started.error().kind == RegistryErrorKind::cancelled || stream->got_tls_alert()) return fail(started.error());
    return false;
}

std::string HttpPool::head_of(const HttpCall& call) const {
    const auto proxy = call.url.https ? std::nullopt : proxy_of(call.url);
    std::string head =
        fmt::format("{} {}{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}\r\nAccept-Encoding: identity\r\n", call.method,
                    proxy ? call.url.origin() : "", call.url.target, call.url.authority(), settings_.user_agent);
    for (const auto& [name, value] : call.fields) head.append(name).append(": ").append(value).append("\r\n");
    if (call.body != nullptr) {
        head += fmt::format("Content-Length: {}\r\n", call.body->size());
    } else if (call.method == "POST" || call.method == "PUT") {
        head += "Content-Length: 0\r\n";
    }
    if (proxy) head += proxy_authorization(*proxy);
    return head + "\r\n";
}

TransferPatience HttpPool::patience_for(const HttpCall& call) const {
    const RegistryTimeouts& times = settings_.timeouts;
    const std::uint64_t bytes = call.answer_bytes + (call.body == nullptr ? 0 : call.body->size());
    const auto more = std::chrono::seconds{bytes / std::max<std::uint64_t>(times.slowest_bytes_per_second, 1)};
    return {times.stall, times.exchange + more, cancel_fd_};
}

std::optional<Url> HttpPool::proxy_of(const Url& url) const {
    const auto text = settings_.proxies.proxy_for(url.https, url.host, url.port);
    if (!text) return std::nullopt;
    return Url::parse_proxy(*text);
}

/// A TCP connection over which bytes reach the URL's host (or, for plain HTTP, the proxy that takes requests for it).
RegistryResult<NetStream> HttpPool::connect(const Url& url) const {
    const auto configured = settings_.proxies.proxy_for(url.https, url.host, url.port);
    const auto proxy = proxy_of(url);
    if (configured && !proxy) {
        return fail(RegistryError{RegistryErrorKind::unreachable,
                                  "the proxy's address cannot be read; write http://[USER:PASSWORD@]HOST:PORT in "
                                  "HTTP_PROXY and HTTPS_PROXY",
                                  false,
                                  {}});
    }
    Url to = proxy ? *proxy : url;
    if (const auto other = settings_.addresses.find(to.host_and_port()); other != settings_.addresses.end()) {
        to = Url::of_authority(to.https, other->second).value_or(to);
    }
    auto stream = NetStream::connect(to.host, to.port, settings_.timeouts.connect, cancel_fd_);
    if (!stream) {
        auto error = stream.error();
        if (proxy) error.message = fmt::format("the proxy for {}: {}", url.authority(), error.message);
        return fail(std::move(error));
    }
    if (proxy && url.https) return tunnel(std::move(*stream), url, *proxy);
    return stream;
}

RegistryResult<NetStream> HttpPool::tunnel(NetStream stream, const Url& url, const Url& proxy) const {
    const std::string head = fmt::format("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\nUser-Agent: {1}\r\n{2}\r\n",
                                         url.host_and_port(), settings_.user_agent, proxy_authorization(proxy));
    RegistryConnection connection{std::move(stream)};
    const TransferPatience patience{settings_.timeouts.stall, settings_.timeouts.exchange, cancel_fd_};
    // As HEAD: what follows a successful answer to CONNECT is no body (RFC 9110 9.3.6).
    const auto answer = connection.exchange(head, nullptr, true, patience);
    if (!answer) {
        auto error = answer.error();
        error.message = fmt::format("the proxy {}: {}", proxy.authority(), error.message);
        return fail(std::move(error));
    }
    if (answer->status / 100 != 2 || connection.has_unread()) {
        const bool passing = is_transient_status(answer->status);
        return fail(RegistryError{
            RegistryErrorKind::unreachable,
            fmt::format("the proxy {} does not connect to {}: it answers {}{}", proxy.authority(), url.host_and_port(),
                        answer->status, answer->status == 407 ? "; put USER:PASSWORD@ into HTTPS_PROXY" : ""),
            passing,
            {}});
    }
    return std::move(connection).take_stream();
}

RegistryResult<HttpPool::Connection> HttpPool::open(const Url& url) {
    auto stream = connect(url);
    if (!stream) return fail(stream.error());
    if (url.https) {
        const auto context = tls_.context_for(url, !settings_.is_insecure(url.host, url.port));
        if (!context) return fail(context.error());
        const TransferPatience patience{settings_.timeouts.connect, settings_.timeouts.connect, cancel_fd_};
        if (const auto started = stream->start_tls(**context, url.host, patience); !started)
            return fail(started.error());
    }
    return std::make_unique<RegistryConnection>(std::move(*stream));
}

HttpPool::Connection HttpPool::take_idle(const Url& url) {
    const std::lock_guard lock{mutex_};
    const std::string origin = url.origin();
    for (auto at = idle_.end(); at != idle_.begin();) {
        --at;
        if (at->first != origin) continue;
        Connection connection = std::move(at->second);
        at = idle_.erase(at);
        if (!connection->is_stale()) return connection;
    }
    return nullptr;
}

void HttpPool::give_back(const Url& url, Connection connection) {
    const std::lock_guard lock{mutex_};
    if (idle_.size() == kMaxIdle) idle_.erase(idle_.begin());
    idle_.emplace_back(url.origin(), std::move(connection));
}

}  // namespace brokerd
