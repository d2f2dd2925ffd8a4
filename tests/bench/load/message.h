#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "tests/bench/load/stream.h"

namespace brokerd::bench {

/// A message ready to be sent: its head and the beginning of its body as text, and how many more body bytes follow.
struct Message {
    Message(std::string head, std::uint64_t body);
    std::string start;
    std::uint64_t rest = 0;
};

/// Sends messages, one at a time.
class Outgoing {
public:
    void begin(const Message& message) noexcept {  // borrowed until it is sent
        message_ = &message;
        sent_ = 0;
        rest_ = message.rest;
    }
    [[nodiscard]] bool active() const noexcept { return message_ != nullptr; }
    enum class Progress { done, blocked, broken };
    Progress advance(Stream& stream);

private:
    const Message* message_ = nullptr;
    std::size_t sent_ = 0;
    std::uint64_t rest_ = 0;
};

/// A head that was read, and what it means.
struct Head {
    std::string text;
    bool good = false;                ///< as expected; of a message that is not, nothing more is read
    std::uint64_t body = 0;           ///< its length
    const Message* answer = nullptr;  ///< for requests: what to answer
};

/// The value of Content-Length; `missing` where there is none or a transfer coding.
[[nodiscard]] std::uint64_t content_length(std::string_view head, std::uint64_t missing);

/// Understands heads, and recognises the last one by comparing bytes: in a benchmark nearly all are the same.
class HeadMemory {
public:
    using Understand = std::function<Head(std::string_view)>;
    explicit HeadMemory(Understand understand) : understand_{std::move(understand)} {}
    /// The head that `bytes` begin with, valid until the next call; null where it is not complete.
    const Head* find(std::string_view bytes);

private:
    Understand understand_;
    Head last_;
};

/// Reads messages, one at a time; of the body only the length is looked at.
class Incoming {
public:
    enum class Progress { more, done, bad };
    /// Takes all of `bytes`; what follows a complete message in them is bad. After `done` a new message begins.
    Progress take(std::string_view bytes, HeadMemory& heads);
    [[nodiscard]] bool begun() const noexcept { return in_body_ || !partial_.empty(); }
    /// Of the last request that was done.
    [[nodiscard]] const Message* answer() const noexcept { return answer_; }

private:
    Progress take_body(std::uint64_t bytes);

    std::string partial_;
    bool in_body_ = false;
    std::uint64_t left_ = 0;
    const Message* answer_ = nullptr;
};

}  // namespace brokerd::bench
