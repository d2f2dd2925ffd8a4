#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "daemon/proxy/message_writer.h"
#include "daemon/proxy/upstream.h"
#include "daemon/stream/body_pipe.h"
#include "daemon/stream/channel.h"

namespace brokerd {

/// Writes a plugin's answer to a client: its head in the framing that this client understands, its body by copy, with
/// the block that it lies in, or through a pipe, and its end. What finds no room stays with the upstream; this object
/// remembers that, and knows when to ask for it.
/// Thread: one proxy thread's. Owned by its Client.
class AnswerWriter {
public:
    /// Both outlive this object.
    AnswerWriter(Channel& to, BodyPipePool& pipes) noexcept : to_{to}, pipe_{pipes} {}

    /// Another request is to be answered.
    void reset() noexcept;

    /// What the request, and the state of its connection, ask of the answer.
    struct Terms {
        bool client_http11 = true;
        bool head_only = false;
        bool close = false;                         ///< the connection ends with this answer
        std::optional<std::uint64_t> new_length{};  ///< another body than the one that the head announced
    };
    /// An interim (1xx) head, if this client may have it.
    void write_interim(const HttpHead& head, bool client_http11);
    /// The final head. Precondition for all below that take something.
    void begin(const HttpHead& head, const Terms& terms);

    /// For UpstreamUser's functions of these names. Bytes in the pipe count as taken.
    [[nodiscard]] std::size_t take_body(std::string_view piece);
    [[nodiscard]] UpstreamUser::Taken take_block(ByteQueue& bytes);
    [[nodiscard]] UpstreamUser::Piped pipe_body(Channel& from, std::uint64_t limit);
    /// All of the body has been taken.
    void finish();

    /// Whether there is room again for what was not taken, or the client again reads what the pipe holds: the upstream
    /// must be pumped now. Tells of room once each time that there was none.
    [[nodiscard]] bool can_go_on() noexcept;

    [[nodiscard]] bool is_begun() const noexcept { return status_ != 0; }
    [[nodiscard]] unsigned status() const noexcept { return status_; }
    /// By what its head told the client, or by its framing, the connection ends with this answer.
    [[nodiscard]] bool is_last() const noexcept { return framing_.close; }
    /// Where nothing is to be moved any more; a pipe that still holds bytes is closed, with them. Idempotent.
    void give_pipe_back() { pipe_.give_back(); }

private:
    [[nodiscard]] bool is_chunked() const noexcept { return framing_.body == BodyFraming::chunked; }
    [[nodiscard]] bool has_emptied_queue();

    Channel& to_;
    BorrowedPipe pipe_;
    AnswerFraming framing_;
    std::size_t awaited_room_ = 0;  ///< in `to_.out`; until then the upstream holds bytes back
    unsigned status_ = 0;           ///< 0: not begun
};

}  // namespace brokerd
