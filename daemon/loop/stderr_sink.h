#pragma once

#include <string>

#include "daemon/loop/log_sink.h"

namespace brokerd {

/// Whether what is written to `fd` goes to the journal (systemd.exec(5), JOURNAL_STREAM: the stream's device and inode,
/// so that a program whose stderr was sent elsewhere meanwhile is not misled).
[[nodiscard]] bool is_journal_stream(int fd);

/// Plain lines to a descriptor: a terminal, a pipe, a file. Such a line cannot hold another one: control characters in
/// it become "?".
class StderrSink final : public LogSink {
public:
    /// `fd` is borrowed. It stays as it is: O_NONBLOCK would hold for everybody who has the same file open.
    explicit StderrSink(int fd) : fd_{fd}, is_journal_{is_journal_stream(fd)} {}

    [[nodiscard]] bool try_write(const LogEntry& entry) override;
    void wait_for_room(std::chrono::milliseconds patience) noexcept override;

    /// With its line feed; `for_journal`: with the "<N>" prefix of sd-daemon(3).
    [[nodiscard]] static std::string line(const LogEntry& entry, bool for_journal);

private:
    const int fd_;
    const bool is_journal_;
};

}  // namespace brokerd
