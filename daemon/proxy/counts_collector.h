#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "daemon/loop/core_loop.h"
#include "daemon/metrics/broker_counts.h"

namespace brokerd {

class ProxyThread;

/// Asks every proxy thread for a copy of its counts. Who asks while an answer is on its way waits for the next one, in
/// company: however many ask, at most one copy is being made.
/// Thread: the core loop's. Loop and threads outlive it; after its destruction nobody is called.
class CountsCollector : public std::enable_shared_from_this<CountsCollector> {
public:
    using Counts = std::shared_ptr<const std::vector<ThreadCounts>>;
    using Done = std::function<void(const Counts&)>;

    CountsCollector(CoreLoop& loop, const std::vector<std::unique_ptr<ProxyThread>>& threads) noexcept
        : loop_{loop}, threads_{threads} {}

    /// `done` gets what was counted by some time after this call.
    void collect(Done done);

private:
    void ask_threads();
    void add(ThreadCounts counts);

    CoreLoop& loop_;
    const std::vector<std::unique_ptr<ProxyThread>>& threads_;
    std::vector<Done> asking_;   ///< for the answer that is on its way
    std::vector<Done> waiting_;  ///< … for the one after it
    std::shared_ptr<std::vector<ThreadCounts>> answer_;
};

}  // namespace brokerd
