#include "tests/bench/load/message.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace brokerd::bench {
namespace {

constexpr std::size_t kStartBytes = 65'536;
constexpr std::size_t kMaxHead = 16'384;

/// What bodies are made of.
const std::array<char, 262'144>& filler() {
    static const auto bytes = [] {
        std::array<char, 262'144> letters;
        for (std::size_t index = 0; index < letters.size(); ++index)
            letters[index] = static_cast<char>('a' + index % 23);
        return letters;
    }();
    return bytes;
}

char lower(char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

/// The value of the first field of that name (lower case, with colon); empty where there is none.
std::string_view field(std::string_view head, std::string_view name) {
    for (std::size_t line = head.find("\r\n"); line + 4 < head.size(); line = head.find("\r\n", line + 2)) {
        const std::string_view text = head.substr(line + 2, head.find("\r\n", line + 2) - line - 2);
        if (text.size() < name.size()) continue;
        if (!std::equal(name.begin(), name.end(), text.begin(), [](char a, char b) { return a == lower(b); })) continue;
        const std::size_t value = text.find_first_not_of(' ', name.size());
        return value == std::string_view::npos ? std::string_view{} : text.substr(value);
    }
    return {};
}

}  // namespace

std::uint64_t content_length(std::string_view head, std::uint64_t missing) {
    const std::string_view value = field(head, "content-length:");
    std::uint64_t length = missing;
    if (value.empty() || !field(head, "transfer-encoding:").empty()) return missing;
    std::from_chars(value.data(), value.data() + value.size(), length);
    return length;
}

Message::Message(std::string head, std::uint64_t body) : start{std::move(head)} {
    const auto first = static_cast<std::size_t>(std::min<std::uint64_t>(body, kStartBytes));
    start.append(filler().data(), first);
    rest = body - first;
}

Outgoing::Progress Outgoing::advance(Stream& stream) {
    while (sent_ < message_->start.size() || rest_ > 0) {
        const bool starting = sent_ < message_->start.size();
        const char* from = starting ? message_->start.data() + sent_ : filler().data();
        const std::size_t size = starting ? message_->start.size() - sent_
                                          : static_cast<std::size_t>(std::min<std::uint64_t>(rest_, filler().size()));
        const Stream::Outcome outcome = stream.write(from, size);
        if (starting) {
            sent_ += outcome.bytes;
        } else {
            rest_ -= outcome.bytes;
        }
        if (outcome.over) return Progress::broken;
        // A short write of a plain socket says "blocked" as well; only the event may be waited for then.
        if (outcome.blocked) return Progress::blocked;
    }
    message_ = nullptr;
    return Progress::done;
}

const Head* HeadMemory::find(std::string_view bytes) {
    if (!last_.text.empty() && bytes.starts_with(last_.text)) return &last_;
    const std::size_t end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) return nullptr;
    last_ = understand_(bytes.substr(0, end + 4));
    last_.text = bytes.substr(0, end + 4);
    return &last_;
}

Incoming::Progress Incoming::take_body(std::uint64_t bytes) {
    if (bytes > left_) return Progress::bad;
    left_ -= bytes;
    in_body_ = left_ > 0;
    return in_body_ ? Progress::more : Progress::done;
}

Incoming::Progress Incoming::take(std::string_view bytes, HeadMemory& heads) {
    if (in_body_) return take_body(bytes.size());
    if (!partial_.empty()) bytes = partial_.append(bytes);
    const Head* head = heads.find(bytes);
    if (head == nullptr) {
        if (partial_.empty()) partial_ = bytes;
        return partial_.size() > kMaxHead ? Progress::bad : Progress::more;
    }
    if (!head->good) return Progress::bad;
    answer_ = head->answer;
    left_ = head->body;
    const std::size_t rest = bytes.size() - head->text.size();
    partial_.clear();
    return take_body(rest);
}

}  // namespace brokerd::bench
