#include "daemon/shim/log_writer.h"

#include <algorithm>
#include <string>

namespace brokerd {

void TokenBucket::refill(Clock::time_point now) noexcept {
    using std::chrono::nanoseconds;
    constexpr std::uint64_t kSecond = 1'000'000'000;
    const auto passed = std::min<std::uint64_t>(static_cast<std::uint64_t>(nanoseconds{now - refilled_}.count()),
                                                kSecond * (burst_ / per_second_ + 1));  // more would fill it, too
    const std::uint64_t fresh = passed * per_second_ / kSecond;
    if (fresh == 0) return;  // the time counts later
    tokens_ = std::min(burst_, tokens_ + fresh);
    refilled_ = now;
}

void LogWriter::line(LogRecord::Source source, std::string_view message, bool partial, Clock::time_point now) {
    tell(now);
    lines_.refill(now);
    bytes_.refill(now);
    if (!lines_.holds(1) || !bytes_.holds(message.size())) {
        ++suppressed_;
        return settle(now);
    }
    lines_.take(1);
    bytes_.take(message.size());
    // While lines are missing, the first one that can be written again is the one that says so.
    const bool works = lost_ == 0 || tell_count(lost_, "line was lost", "lines were lost");
    if (!works || !write(source, message, partial)) ++lost_;
    settle(now);
}

void LogWriter::tell(Clock::time_point now) {
    if (tell_at_ && now >= *tell_at_) finish(now);
}

void LogWriter::finish(Clock::time_point now) {
    if (tell_count(lost_, "line was lost", "lines were lost")) {
        (void)tell_count(suppressed_, "message was suppressed", "messages were suppressed");
    }
    tell_at_.reset();
    settle(now);
}

bool LogWriter::write(LogRecord::Source source, std::string_view message, bool partial) {
    return output_.write({source, message, partial, std::chrono::system_clock::now()});
}

bool LogWriter::tell_count(std::uint64_t& count, std::string_view one, std::string_view many) {
    if (count == 0) return true;
    const std::string text = std::to_string(count) + ' ' + std::string{count == 1 ? one : many};
    if (!write(LogRecord::Source::broker, text, false)) return false;
    count = 0;
    return true;
}

void LogWriter::settle(Clock::time_point now) {
    if (suppressed_ == 0 && lost_ == 0) {
        tell_at_.reset();
    } else if (!tell_at_) {
        tell_at_ = now + kTellAfter;
    }
}

}  // namespace brokerd
