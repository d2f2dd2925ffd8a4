#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/os/unique_fd.h"
#include "daemon/loop/activated_descriptors.h"
#include "daemon/proxy/connection_ledger.h"

namespace brokerd {

/// Engines' connections outlive a brokerd that is killed: those at rest are gone on with by the next one, with whatever
/// engines have written to them meanwhile; a call that was under way, and of whose answer nothing had left, is answered
/// with an error, or engines would send it again. Nothing is asked of a connection for that, and nothing is done for a
/// call but to mark its beginning and its end (ConnectionLedger): a small process, the keeper, shares this process's
/// table of descriptors (clone(2), CLONE_FILES), so the kernel closes none of them while it lives. The next brokerd has
/// the keeper's pidfd and the ledger from systemd's descriptor store, takes what is marked (pidfd_getfd(2)), and ends
/// the keeper; all else is closed then. A keeper whom nobody ends does so by itself. Thread: the core loop's.
class ConnectionKeeper {
public:
    /// Ours: for systemd to start the next brokerd, which begins with this. An engine waits for as long.
    static constexpr std::chrono::seconds kPatience{10};

    /// Takes over what the last keeper has, ends it, and starts one for this process if there is a descriptor store.
    /// Before directories are locked: the last one's keeper also holds its locks.
    explicit ConnectionKeeper(ActivatedDescriptors& activated);
    /// Ends it: this process closes its connections in order.
    ~ConnectionKeeper();
    ConnectionKeeper(const ConnectionKeeper&) = delete;
    ConnectionKeeper& operator=(const ConnectionKeeper&) = delete;

    /// For the marks of this process's connections; null where nothing is kept.
    [[nodiscard]] ConnectionLedger* ledger() noexcept { return ledger_.get(); }
    /// The connections that engines have made to the socket bound to `path`.
    [[nodiscard]] std::vector<UniqueFd> take(const std::string& path);
    /// Closes those that nobody has taken.
    void close_untaken() { connections_.clear(); }

private:
    void take_over(const UniqueFd& keeper, const UniqueFd& ledger);
    void start();
    void do_without(int code);
    void end_own();

    std::multimap<std::string, UniqueFd> connections_;  ///< given back at this start, by the path of their socket
    std::unique_ptr<ConnectionLedger> ledger_;
    UniqueFd self_;  ///< by which the keeper hears of the end
    pid_t keeper_ = 0;
};

}  // namespace brokerd
