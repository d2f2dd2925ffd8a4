#include "daemon/proxy/handshake.h"

#include <fmt/format.h>

#include "common/manifest.h"
#include "common/protocol/docker_plugin_api.h"

namespace brokerd {

Handshake::Handshake(ThreadContext& context, std::shared_ptr<const Target> target, Done done)
    : context_{context}, upstream_{std::make_shared<Upstream>(context, std::move(target))}, done_{std::move(done)} {}

Handshake::~Handshake() {
    DeadlineList::clear(*this);
    drop(context_, upstream_);
}

void Handshake::start(std::chrono::milliseconds limit) {
    limit_ = limit;
    context_.deadlines.set(*this, limit);
    upstream_->connect(*this);
}

void Handshake::on_upstream_ready() {
    const std::string request = fmt::format(
        "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: brokerd/{}\r\nAccept: {}\r\nContent-Length: 0\r\nVia: 1.1 "
        "brokerd\r\n\r\n",
        docker_plugin_api::kActivatePath, upstream_->target()->host_header, BROKERD_VERSION,
        docker_plugin_api::kMediaType);
    upstream_->channel().out.append(request);
    upstream_->flush();
}

void Handshake::on_response_head(const HttpHead& head) {
    status_ = head.status;
}

std::size_t Handshake::take_body(std::string_view piece) {
    const std::size_t count = std::min(piece.size(), kMaxManifestBytes - body_.size());
    body_.append(piece.substr(0, count));
    if (count < piece.size()) {
        // Not from within the upstream's own call: ending it there would pull the buffer from under the parser.
        context_.loop.post([self = weak_from_this()] {
            const auto handshake = self.lock();
            if (!handshake || !handshake->upstream_) return;
            handshake->finish({HandshakeOutcome::Kind::malformed,
                               0,
                               {},
                               fmt::format("its answer is longer than {} bytes", kMaxManifestBytes)},
                              false);
        });
    }
    return count;
}

void Handshake::on_response_end(bool reusable) {
    finish({HandshakeOutcome::Kind::answered, status_, std::move(body_), {}}, reusable);
}

void Handshake::on_connect_failed(const std::string& reason, ConnectFailure cause) {
    finish({cause == ConnectFailure::refused ? HandshakeOutcome::Kind::refused : HandshakeOutcome::Kind::unreachable,
            0,
            {},
            reason},
           false);
}

void Handshake::on_upstream_failed(const std::string& reason, bool malformed) {
    if (malformed) return finish({HandshakeOutcome::Kind::malformed, 0, {}, reason}, false);
    // With TLS 1.3 a client certificate is refused only after the handshake, in place of an answer.
    if (upstream_->channel().stream.tls_refused())
        return finish({HandshakeOutcome::Kind::refused, 0, {}, reason}, false);
    finish({HandshakeOutcome::Kind::unreachable,
            0,
            {},
            fmt::format("{} did not answer the handshake: {}", upstream_->target()->url, reason)},
           false);
}

void Handshake::on_deadline() {
    finish({HandshakeOutcome::Kind::unreachable,
            0,
            {},
            fmt::format("{} accepted the connection but did not answer the handshake within {} s",
                        upstream_->target()->url, std::chrono::ceil<std::chrono::seconds>(limit_).count())},
           false);
}

void Handshake::finish(HandshakeOutcome outcome, bool keep) {
    const auto self = shared_from_this();
    DeadlineList::clear(*this);
    std::shared_ptr<Upstream> upstream = std::move(upstream_);
    if (!keep) drop(context_, upstream);
    if (const Done done = std::move(done_)) done(std::move(outcome), std::move(upstream));
}

}  // namespace brokerd
