#include "daemon/proxy/answer_writer.h"

namespace brokerd {

void AnswerWriter::reset() noexcept {
    awaited_room_ = 0;
    status_ = 0;
}

void AnswerWriter::write_interim(const HttpHead& head, bool client_http11) {
    // Room must stay for the final head. HTTP/1.0 knows no interim responses (RFC 9110 15.2).
    if (client_http11 && to_.out.room() > head.bytes + kMaxHeadBytes + 2 * kHeadSlack)
        write_response_head(to_.out, head, {});
}

void AnswerWriter::begin(const HttpHead& head, const Terms& terms) {
    status_ = head.status;
    framing_ = {terms.head_only ? BodyFraming::none : head.framing, terms.client_http11, terms.close, terms.new_length};
    if (terms.new_length) framing_.body = BodyFraming::length;
    if (framing_.body == BodyFraming::chunked || framing_.body == BodyFraming::until_close) {
        framing_.body = terms.client_http11 ? BodyFraming::chunked : BodyFraming::until_close;
        if (!terms.client_http11) framing_.close = true;
    }
    write_response_head(to_.out, head, framing_);
}

std::size_t AnswerWriter::take_body(std::string_view piece) {
    std::size_t taken = write_body(to_.out, piece, is_chunked());
    if (taken < piece.size() && to_.flush()) taken += write_body(to_.out, piece.substr(taken), is_chunked());
    if (taken < piece.size()) awaited_room_ = BlockPool::kBlockBytes / 2;
    return taken;
}

/// What goes without a copy, goes behind what was copied.
bool AnswerWriter::has_emptied_queue() {
    to_.flush();
    if (to_.out.empty()) return true;
    awaited_room_ = BlockPool::kBlockBytes;
    return false;
}

UpstreamUser::Taken AnswerWriter::take_block(ByteQueue& bytes) {
    if (is_chunked()) return UpstreamUser::Taken::refused;
    if (!has_emptied_queue()) return UpstreamUser::Taken::nothing;
    to_.out.take_over(bytes);
    to_.flush();
    return UpstreamUser::Taken::all;
}

UpstreamUser::Piped AnswerWriter::pipe_body(Channel& from, std::uint64_t limit) {
    if (is_chunked()) return {};
    if (!has_emptied_queue()) return {false, 0, false, pipe_.size() > 0};
    BodyPipe* const pipe = pipe_.borrow();
    if (pipe == nullptr) return {};
    const BodyPipe::Moved moved = pipe->move(from, to_, limit);
    return {false, moved.came, moved.came + moved.left > 0, pipe->size() > 0};
}

void AnswerWriter::finish() {
    if (is_chunked()) write_last_chunk(to_.out);
}

bool AnswerWriter::can_go_on() noexcept {
    if (awaited_room_ > 0 && to_.out.room() >= awaited_room_) {
        awaited_room_ = 0;
        return true;
    }
    return pipe_.size() > 0 && to_.can_write();
}

}  // namespace brokerd
