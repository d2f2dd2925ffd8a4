#include "daemon/proxy/request_body.h"

#include "daemon/proxy/message_writer.h"

namespace brokerd {
namespace {

struct QueueSink final : BodySink {
    QueueSink(ByteQueue& to, bool as_chunks) noexcept : out{to}, chunked{as_chunks} {}
    std::size_t take_body(std::string_view piece) override {
        const std::size_t count = write_body(out, piece, chunked);
        taken += count;
        return count;
    }
    ByteQueue& out;
    const bool chunked;
    std::size_t taken = 0;
};

struct DiscardSink final : BodySink {
    std::size_t take_body(std::string_view piece) override { return piece.size(); }
};

}  // namespace

void RequestBody::start(const HttpHead& head) noexcept {
    parser_.start(head);
    chunked_ = head.framing == BodyFraming::chunked;
    done_ = false;
}

RequestBody::Progress RequestBody::move(Channel& from, Channel& to) {
    Progress progress;
    progress.status = move_for_a_turn(from, to, progress);
    return progress;
}

RequestBody::Status RequestBody::move_for_a_turn(Channel& from, Channel& to, Progress& progress) {
    for (int round = 0; round < kRoundsPerTurn; ++round) {
        if (may_pipe(from, to)) {
            const Piping piped = move_by_pipe(from, to, progress);
            if (piped == Piping::moved) continue;
            if (piped == Piping::blocked) return Status::waits;
        }
        switch (hand_on(from.in, to, progress)) {
            case ParseStatus::done:
                done_ = true;
                if (chunked_) write_last_chunk(to.out);
                return Status::done;
            case ParseStatus::malformed:
                return Status::malformed;
            case ParseStatus::blocked:
                to.flush();
                if (!to.out.empty()) return Status::waits;
                break;
            case ParseStatus::need_more:
                if (from.ended || from.broken) return Status::ended_early;
                to.flush();
                if (!from.fill(true)) return Status::waits;
                break;
        }
    }
    to.flush();
    return Status::goes_on;
}

bool RequestBody::may_pipe(const Channel& from, const Channel& to) const noexcept {
    return !chunked_ && from.in.empty() && !to.stream.is_tls() &&
           (pipe_.is_borrowed() || parser_.plain_bytes() >= kPipedFrom);
}

/// Past the queues.
RequestBody::Piping RequestBody::move_by_pipe(Channel& from, Channel& to, Progress& progress) {
    to.flush();
    if (!to.out.empty()) return Piping::blocked;
    BodyPipe* const pipe = pipe_.borrow();
    if (pipe == nullptr) return Piping::over;
    const BodyPipe::Moved moved = pipe->move(from, to, parser_.plain_bytes());
    if (moved.came > 0) parser_.skip(moved.came);
    const bool is_moved = moved.came + moved.left > 0;
    progress.came += moved.came;
    progress.is_moved |= is_moved;
    if (!is_held() && (parser_.is_done() || from.ended || from.broken)) return Piping::over;
    return is_moved ? Piping::moved : Piping::blocked;
}

/// What has come of it: a large piece with the block that it lies in, where it needs no framing.
ParseStatus RequestBody::hand_on(ByteQueue& in, Channel& to, Progress& progress) {
    if (!chunked_ && in.size() >= kLargePiece && parser_.plain_bytes() >= in.size())
        return hand_on_block(in, to, progress);
    QueueSink sink{to.out, chunked_};
    std::size_t used = 0;
    const ParseStatus status = parser_.parse(in.bytes(), sink, used);
    in.consume(used);
    progress.came += sink.taken;
    progress.is_moved |= used > 0;
    return status;
}

ParseStatus RequestBody::hand_on_block(ByteQueue& in, Channel& to, Progress& progress) {
    if (!to.out.empty()) to.flush();
    if (!to.out.empty()) return ParseStatus::blocked;
    const std::size_t size = in.size();
    to.out.take_over(in);
    parser_.skip(size);
    progress.came += size;
    progress.is_moved = true;
    return parser_.is_done() ? ParseStatus::done : ParseStatus::need_more;
}

bool RequestBody::discard(ByteQueue& in) {
    DiscardSink sink;
    std::size_t used = 0;
    done_ = parser_.parse(in.bytes(), sink, used) == ParseStatus::done;
    in.consume(used);
    return done_;
}

}  // namespace brokerd
