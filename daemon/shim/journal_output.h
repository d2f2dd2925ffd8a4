#pragma once

#include <sys/uio.h>

#include <array>
#include <string>

#include "common/os/journal_socket.h"
#include "daemon/shim/log_output.h"

namespace brokerd {

/// Writes to systemd's journal: a datagram of lines FIELD=value for each line, see JournalSocket. Thread: one.
///
/// PLUGIN_ID and PLUGIN_NAME say whose line it is, PLUGIN_STREAM stdout or stderr, PLUGIN_PARTIAL=1 that the line goes
/// on. Both streams have the priority "info", as systemd gives it to what services write: nearly all programs that log
/// at all write everything to stderr, and `journalctl -p err` should find errors.
class JournalOutput final : public LogOutput {
public:
    static constexpr const char* kSocket = JournalSocket::kPath;

    JournalOutput(const std::string& id, const std::string& name, std::string socket = kSocket);

    [[nodiscard]] bool write(const LogRecord& record) override;

    /// The datagram for `record`, in pieces that live as long as the record and this object, and are of no other use
    /// after the next call.
    [[nodiscard]] const std::array<iovec, 3>& datagram(const LogRecord& record);

private:
    const std::string identity_;  ///< the fields that are always the same
    std::string head_;            ///< of the datagram, to "MESSAGE="
    std::array<iovec, 3> pieces_{};
    JournalSocket socket_;
    bool failing_ = false;
};

}  // namespace brokerd
