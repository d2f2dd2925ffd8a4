#pragma once

#include <string>

#include "common/os/journal_socket.h"
#include "daemon/loop/log_sink.h"

namespace brokerd {

/// Entries to systemd's journal, with all of their fields.
class JournalSink final : public LogSink {
public:
    /// `unit`: the systemd unit whose entries these are; empty where it is none.
    explicit JournalSink(std::string socket = JournalSocket::kPath, std::string unit = own_unit())
        : socket_{std::move(socket)}, unit_{std::move(unit)} {}

    [[nodiscard]] bool try_write(const LogEntry& entry) override;
    void wait_for_room(std::chrono::milliseconds patience) noexcept override { socket_.wait_for_room(patience); }

    /// The datagram for `entry`. A value with line feeds is written with its length, so that nothing in it can begin
    /// another field; values are cut so that every datagram finds room in an empty socket.
    [[nodiscard]] static std::string datagram(const LogEntry& entry);

private:
    /// The service that this process belongs to, or nothing.
    [[nodiscard]] static std::string own_unit();

    JournalSocket socket_;
    const std::string unit_;
};

}  // namespace brokerd
