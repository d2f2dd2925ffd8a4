#pragma once

#include <sys/uio.h>

#include <chrono>
#include <span>
#include <string>

#include "common/os/unique_fd.h"

namespace brokerd {

/// systemd's journal, in its native protocol (systemd.io, JOURNAL_NATIVE_PROTOCOL): a datagram for each entry. Not
/// through sd_journal_sendv(3): that one waits for as long as journald does not read, and reports success where there
/// is no journal. Follows a journald that is started anew. Thread: one at a time.
class JournalSocket {
public:
    static constexpr const char* kPath = "/run/systemd/journal/socket";

    explicit JournalSocket(std::string path = kPath) : path_{std::move(path)} {}

    /// Sends one entry, waiting at most `patience` for room. False: it has not been sent, and errno says why (EAGAIN:
    /// there was no room).
    [[nodiscard]] bool send(std::span<const iovec> pieces, std::chrono::milliseconds patience);

    /// Returns when there may be room again, at the latest after `patience`, and where nobody listens after all of it.
    void wait_for_room(std::chrono::milliseconds patience) const noexcept;

private:
    [[nodiscard]] bool connect();
    [[nodiscard]] bool send_now(std::span<const iovec> pieces, std::chrono::milliseconds patience) const;

    const std::string path_;
    UniqueFd socket_;
};

}  // namespace brokerd
