#include "daemon/http/body_parser.h"

#include <algorithm>

#include "daemon/http/characters.h"

namespace brokerd {
namespace {

/// Ours: a chunk's size with its extensions, and all trailers together.
constexpr std::uint32_t kMaxLineBytes = std::uint32_t{32} << 10;
/// A chunk size has at most as many significant digits as 64 bits hold; more are refused, zeros too.
constexpr std::uint8_t kMaxSizeDigits = 16;

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

}  // namespace

void BodyParser::start(BodyFraming framing, std::uint64_t length) noexcept {
    *this = {};
    switch (framing) {
        case BodyFraming::none:
            break;
        case BodyFraming::length:
            left_ = length;
            state_ = length == 0 ? State::done : State::plain;
            break;
        case BodyFraming::chunked:
            state_ = State::size_start;
            break;
        case BodyFraming::until_close:
            until_close_ = true;
            left_ = UINT64_MAX;
            state_ = State::plain;
            break;
    }
}

void BodyParser::skip(std::uint64_t count) noexcept {
    if (until_close_) return;
    left_ -= count;
    if (left_ == 0) state_ = state_ == State::plain ? State::done : State::data_return;
}

ParseStatus BodyParser::parse(std::string_view bytes, BodySink& sink, std::size_t& used) {
    used = 0;
    if (state_ == State::failed) return ParseStatus::malformed;
    while (used < bytes.size() && state_ != State::done) {
        if (const std::uint64_t plain = plain_bytes(); plain > 0) {
            const std::string_view piece =
                bytes.substr(used, static_cast<std::size_t>(std::min<std::uint64_t>(plain, bytes.size() - used)));
            const std::size_t taken = sink.take_body(piece);
            skip(taken);
            used += taken;
            if (taken < piece.size()) return ParseStatus::blocked;
        } else {
            step(bytes[used]);
            if (state_ == State::failed) return ParseStatus::malformed;
            ++used;
        }
    }
    return state_ == State::done ? ParseStatus::done : ParseStatus::need_more;
}

void BodyParser::refuse(unsigned status, const char* text) noexcept {
    problem_ = {status, text};
    state_ = State::failed;
}

void BodyParser::step(char c) {
    switch (state_) {
        case State::data_return:
            state_ = State::data_line_feed;
            if (c != '\r') refuse(400, "a chunk is longer than its size says");
            break;
        case State::data_line_feed:
            state_ = State::size_start;
            if (c != '\n') refuse(400, "a chunk does not end with CRLF");
            break;
        case State::trailer_start:
        case State::trailer_name:
        case State::trailer_value:
        case State::trailer_line_feed:
        case State::end_line_feed:
            if (++line_bytes_ > kMaxLineBytes) return refuse(431, "the trailers are larger than 32 KiB");
            return step_in_trailer(c);
        default:
            if (++line_bytes_ > kMaxLineBytes) return refuse(400, "a chunk header without end");
            return step_in_size_line(c);
    }
}

/// chunk-size [ chunk-ext ] CRLF
void BodyParser::step_in_size_line(char c) {
    switch (state_) {
        case State::size_start:
            left_ = 0;
            size_digits_ = 0;
            line_bytes_ = 1;
            if (hex_value(c) < 0) return refuse(400, "a chunk does not begin with its size");
            state_ = State::size;
            [[fallthrough]];
        case State::size:
            if (const int digit = hex_value(c); digit >= 0) {
                if (++size_digits_ > kMaxSizeDigits) return refuse(400, "a chunk size has more than 16 digits");
                left_ = left_ << 4U | static_cast<std::uint64_t>(digit);
                return;
            }
            return end_extension(c);
        case State::size_line_feed:
            if (c != '\n') return refuse(400, "a chunk header does not end with CRLF");
            return end_size_line();
        default:
            return step_in_extension(c);
    }
}

/// What may follow the size or a whole extension.
void BodyParser::end_extension(char c) {
    if (c == ';') {
        state_ = State::name_start;
    } else if (is_blank(c)) {
        state_ = State::extension_end;
    } else if (c == '\r' && state_ != State::extension_end) {
        state_ = State::size_line_feed;
    } else {
        refuse(400, "a chunk size or extension is followed by something else than an extension or CRLF");
    }
}

/// *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
void BodyParser::step_in_extension(char c) {
    switch (state_) {
        case State::extension_end:
            return end_extension(c);
        case State::name_start:
            if (is_of(c, kTokenCharacter)) {
                state_ = State::name;
            } else if (!is_blank(c)) {
                refuse(400, "a chunk extension has no name");
            }
            return;
        case State::name:
            if (is_of(c, kTokenCharacter)) return;
            if (c != '=' && !is_blank(c)) return end_extension(c);
            state_ = c == '=' ? State::value_start : State::name_end;
            return;
        case State::name_end:
            if (is_blank(c)) return;
            if (c != '=' && c != ';') return refuse(400, "a blank within the name of a chunk extension");
            state_ = c == '=' ? State::value_start : State::name_start;
            return;
        case State::value_start:
            if (is_blank(c)) return;
            if (c != '"' && !is_of(c, kTokenCharacter)) return refuse(400, "a chunk extension has no value");
            state_ = c == '"' ? State::quoted : State::value;
            return;
        case State::value:
            if (is_of(c, kTokenCharacter)) return;
            return end_extension(c);
        case State::quoted_end:
            return end_extension(c);
        case State::quoted:
            if (c == '"' || c == '\\') {
                state_ = c == '"' ? State::quoted_end : State::quoted_pair;
            } else if (!is_of(c, kValueCharacter)) {
                refuse(400, "a quoted string without end, or a control character, in a chunk extension");
            }
            return;
        default:  // quoted_pair
            state_ = State::quoted;
            if (!is_of(c, kValueCharacter)) refuse(400, "control character in a chunk extension");
            return;
    }
}

void BodyParser::end_size_line() {
    if (left_ > 0) {
        state_ = State::data;
    } else {
        state_ = State::trailer_start;
        line_bytes_ = 0;
    }
}

/// *( field-line CRLF ) CRLF
void BodyParser::step_in_trailer(char c) {
    switch (state_) {
        case State::trailer_start:
            if (c == '\r') {
                state_ = State::end_line_feed;
            } else if (!is_of(c, kTokenCharacter)) {
                refuse(400, "a trailer field has no name");
            } else if (++trailer_fields_ > kMaxFields) {
                refuse(431, "more than 128 trailer fields");
            } else {
                state_ = State::trailer_name;
            }
            return;
        case State::trailer_name:
            if (c == ':') {
                state_ = State::trailer_value;
            } else if (!is_of(c, kTokenCharacter)) {
                refuse(400, "a trailer field's name is not followed by a colon");
            }
            return;
        case State::trailer_value:
            if (c == '\r') {
                state_ = State::trailer_line_feed;
            } else if (!is_of(c, kValueCharacter)) {
                refuse(400, "control character in a trailer field");
            }
            return;
        case State::trailer_line_feed:
            state_ = State::trailer_start;
            if (c != '\n') refuse(400, "a trailer field does not end with CRLF");
            return;
        default:  // end_line_feed
            state_ = State::done;
            if (c != '\n') refuse(400, "the end of the trailers is not CRLF");
    }
}

}  // namespace brokerd
