#include "daemon/registry/registry_connection.h"

#include <fmt/format.h>

#include <cstring>

#include "daemon/http/characters.h"

namespace brokerd {
namespace {

/// Ours: large reads, because each one costs a wake-up, a hash call and a write; more gains nothing (measured).
constexpr std::size_t kBufferBytes = std::size_t{256} << 10;
/// Ours: interim answers before the final one.
constexpr unsigned kMaxInterim = 16;

RegistryError no_http(std::string_view why) {
    return {RegistryErrorKind::invalid, fmt::format("the answer is not valid HTTP: {}", why), false, {}};
}

RegistryError closed() {
    return {RegistryErrorKind::unreachable, "the connection was closed before the answer was complete", true, {}};
}

/// Hands what the parser finds to the receiver, and remembers why that one wants no more.
class ReceiverSink final : public BodySink {
public:
    explicit ReceiverSink(const RegistryConnection::Receiver& receive) : receive_{receive} {}

    std::size_t take_body(std::string_view piece) override {
        auto taken = receive_(piece);
        if (taken) return piece.size();
        problem_ = taken.error();
        return 0;
    }
    [[nodiscard]] const std::optional<RegistryError>& problem() const noexcept { return problem_; }

private:
    const RegistryConnection::Receiver& receive_;
    std::optional<RegistryError> problem_;
};

HttpAnswer copy_of(const HttpHead& head) {
    HttpAnswer answer{head.status, std::nullopt, {}};
    if (head.framing == BodyFraming::length) answer.length = head.length;
    answer.fields.reserve(head.fields.size());
    for (const HttpField& field : head.fields) answer.fields.emplace_back(field.name, field.value);
    return answer;
}

}  // namespace

std::string_view HttpAnswer::field(std::string_view lower_name) const {
    for (const auto& [name, value] : fields) {
        if (equals_lower(name, lower_name)) return value;
    }
    return {};
}

std::string HttpAnswer::fields_joined(std::string_view lower_name) const {
    std::string joined;
    for (const auto& [name, value] : fields) {
        if (!equals_lower(name, lower_name)) continue;
        if (!joined.empty()) joined += ", ";
        joined += value;
    }
    return joined;
}

RegistryResult<HttpAnswer> RegistryConnection::exchange(std::string_view head, UploadBody* body, bool is_head,
                                                        const TransferPatience& patience) {
    reusable_ = false;
    answer_began_ = false;
    const auto sent = send(head, body, patience);
    if (!sent && (body == nullptr || sent.error().kind == RegistryErrorKind::cancelled)) return fail(sent.error());
    // Who does not want the body may have said why before closing.
    auto answer = read_head(is_head, patience);
    if (!answer && !sent) return fail(sent.error());
    if (!sent) reusable_ = false;
    return answer;
}

RegistryResult<std::monostate> RegistryConnection::send(std::string_view head, UploadBody* body,
                                                        const TransferPatience& patience) {
    const std::uint64_t size = body == nullptr ? 0 : body->size();
    std::string first{head};
    std::uint64_t offset = 0;
    if (size > 0) {  // a small body leaves with the head
        const auto piece = body->read(0);
        if (!piece) return fail(piece.error());
        if (piece->size() <= 4096) {
            first += *piece;
            offset = piece->size();
        }
    }
    if (auto sent = stream_.write(first, patience); !sent) return sent;
    while (offset < size) {
        const auto piece = body->read(offset);
        if (!piece) return fail(piece.error());
        if (auto sent = stream_.write(*piece, patience); !sent) return sent;
        offset += piece->size();
    }
    return std::monostate{};
}

RegistryResult<std::size_t> RegistryConnection::fill(const TransferPatience& patience) {
    if (!buffer_) buffer_ = std::make_unique<char[]>(kBufferBytes);
    if (begin_ == end_) begin_ = end_ = 0;
    if (begin_ > 0) {
        std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    auto count = stream_.read(buffer_.get() + end_, kBufferBytes - end_, patience);
    if (count) end_ += *count;
    return count;
}

RegistryResult<HttpAnswer> RegistryConnection::read_head(bool is_head, const TransferPatience& patience) {
    HeadParser parser;
    HttpHead head;
    for (unsigned interim = 0; interim <= kMaxInterim;) {
        const ParseStatus status =
            begin_ == end_ ? ParseStatus::need_more : parser.parse_response(unread(), head, !is_head);
        if (status == ParseStatus::malformed) return fail(no_http(parser.problem().text));
        if (status == ParseStatus::done) {
            begin_ += head.bytes;
            if (head.status >= 200) {
                body_.start(head);
                reusable_ = head.keep_alive && head.framing != BodyFraming::until_close;
                return copy_of(head);
            }
            ++interim;
            parser.reset();
            continue;
        }
        const auto count = fill(patience);
        if (!count) return fail(count.error());
        if (*count == 0) return fail(closed());
        answer_began_ = true;
    }
    return fail(no_http("it has too many interim answers"));
}

RegistryResult<std::monostate> RegistryConnection::read_body(const Receiver& receive,
                                                             const TransferPatience& patience) {
    ReceiverSink sink{receive};
    while (!body_.is_done()) {
        std::size_t used = 0;
        const ParseStatus status = begin_ == end_ ? ParseStatus::need_more : body_.parse(unread(), sink, used);
        begin_ += used;
        if (status == ParseStatus::malformed) return fail(no_http(body_.problem().text));
        if (status == ParseStatus::blocked) return fail(*sink.problem());
        if (status == ParseStatus::done) break;
        const auto count = fill(patience);
        if (!count) return fail(count.error());
        if (*count > 0) continue;
        if (!body_.may_end_here()) return fail(closed());
        break;
    }
    return std::monostate{};
}

}  // namespace brokerd
