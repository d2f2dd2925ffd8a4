#include "daemon/core/waiting_plugin_runs.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>

#include "common/os/unique_fd.h"
#include "daemon/runtime/mount_users.h"

namespace brokerd {
namespace {

constexpr const char* kGivenUp = "the waiting for it was given up: its client has gone, or brokerd stops";

/// Ours: how often an answer is looked for that nothing can announce.
constexpr int kLookAgainMilliseconds = 20;

/// An answer that one thread gives and another waits for, or stops waiting for. Shared by both. No exception where
/// descriptors have run out: what is asked for may have been stored already, and has to happen.
template <class Value>
class Answer {
public:
    Answer() noexcept : given_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {}

    void give(Value value) {
        const std::lock_guard lock{mutex_};
        if (value_) return;
        value_ = std::move(value);
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto ignored = ::write(given_.get(), &one, sizeof one);
    }

    /// Nothing where `cancelled` was first.
    [[nodiscard]] std::optional<Value> wait(int cancelled) {
        pollfd events[] = {{given_.get(), POLLIN, 0}, {cancelled, POLLIN, 0}};  // of -1 poll() takes no notice
        while (true) {
            const int ready = ::poll(events, 2, given_ ? -1 : kLookAgainMilliseconds);
            if (ready < 0 && errno == EINTR) continue;
            const std::lock_guard lock{mutex_};
            if (value_ || ready != 0) return std::move(value_);
        }
    }

private:
    const UniqueFd given_;
    std::mutex mutex_;
    std::optional<Value> value_;  ///< guarded by the mutex
};

}  // namespace

std::optional<std::string> WaitingPluginRuns::start(const PluginRecordPtr& plugin, std::chrono::seconds timeout,
                                                    int cancelled) {
    const auto answer = std::make_shared<Answer<std::optional<std::string>>>();
    loop_.post([&table = plugins_, plugin, timeout, answer] {
        if (table.runs() == nullptr) return answer->give("this brokerd runs no plugins");
        table.runs()->start(plugin, timeout,
                            [answer](std::optional<std::string> problem) { answer->give(std::move(problem)); });
    });
    auto problem = answer->wait(cancelled);
    if (problem) return *std::move(problem);
    loop_.post([&table = plugins_, id = plugin->id] {
        if (table.runs() != nullptr) table.runs()->give_up(id);
    });
    return kGivenUp;
}

std::optional<std::string> WaitingPluginRuns::stop(const PluginRecordPtr& plugin, int cancelled) {
    const auto answer = std::make_shared<Answer<std::optional<std::string>>>();
    loop_.post([&table = plugins_, id = plugin->id, answer] {
        if (table.runs() == nullptr) return answer->give(std::nullopt);
        table.runs()->stop(id, [&table, id, answer] {
            const PluginRun run = table.runs()->run_of(id);
            const bool hangs = run.phase == PluginRun::Phase::failed && !run.next_attempt;
            answer->give(hangs ? std::optional{run.reason} : std::nullopt);
        });
    });
    auto problem = answer->wait(cancelled);
    return problem ? *std::move(problem) : std::optional<std::string>{kGivenUp};
}

std::optional<std::vector<std::string>> WaitingPluginRuns::users(const PluginRecordPtr& plugin, int cancelled) {
    struct Known {
        std::vector<LeaseHolder> leases;
        pid_t pid = 0;
    };
    const auto answer = std::make_shared<Answer<Known>>();
    loop_.post([&table = plugins_, plugin, answer] {
        const pid_t pid = table.runs() == nullptr ? 0 : table.runs()->run_of(plugin->id).pid;
        answer->give(Known{table.leases().holders(plugin->name), pid});
    });
    const auto known = answer->wait(cancelled);
    if (!known) return std::nullopt;
    std::vector<std::string> users;
    for (const LeaseHolder& holder : known->leases) users.push_back(to_text(holder));
    if (known->pid == 0) return users;
    const std::string directory = directory_ + "/" + plugin->id;
    for (const MountUser& user :
         users_of_mounts({directory + "/propagated-mount", directory + "/rootfs"}, {known->pid}))
        users.push_back(to_text(user));
    return users;
}

}  // namespace brokerd
