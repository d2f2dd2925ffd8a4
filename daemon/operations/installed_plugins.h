#pragma once

#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "daemon/loop/mailbox.h"
#include "daemon/managed/plugin_store.h"
#include "daemon/operations/operation_error.h"

namespace brokerd {

/// Logs what the store has found wrong with its state, and put right as far as it could. Any thread.
void log_state_finding(const std::string& finding);

/// The owner of what the operator asked for: the store of installed plugins, on a thread of its own, because each
/// change waits for the disk and must be on it before anybody is told. Operations prepare their work elsewhere and come
/// here for the step that counts.
/// Thread: construct and destroy on one; the other members on any but that of the core loop, as they wait.
class InstalledPlugins {
public:
    /// Told all plugins after each change, on the thread of this object, before whoever changed them hears of it.
    using Listener = std::function<void(std::vector<PluginRecordPtr>)>;

    InstalledPlugins(PluginStore store, Listener listener);
    /// Finishes what has been asked for. Nobody may ask any more.
    ~InstalledPlugins();
    InstalledPlugins(const InstalledPlugins&) = delete;
    InstalledPlugins& operator=(const InstalledPlugins&) = delete;

    /// Runs `work` on the store and returns what it returns.
    template <class Work>
    auto read(Work work) -> std::invoke_result_t<Work, const PluginStore&> {
        return run([&work](PluginStore& store) { return work(std::as_const(store)); });
    }
    /// The same, for work that changes the store.
    template <class Work>
    auto change(Work work) -> std::invoke_result_t<Work, PluginStore&> {
        return run([&work, this](PluginStore& store) {
            auto result = work(store);
            announce(store);
            return result;
        });
    }
    /// Reads plugins.json again, without waiting for it. Any thread.
    void reload();
    /// As read(), without waiting: `work` passes on what it finds. Any thread.
    void post(std::function<void(const PluginStore&)> work) {
        mailbox_.post([work = std::move(work)](PluginStore& store) { work(store); });
    }

private:
    template <class Work>
    auto run(Work work) -> std::invoke_result_t<Work, PluginStore&> {
        std::packaged_task<std::invoke_result_t<Work, PluginStore&>(PluginStore&)> task{std::move(work)};
        auto result = task.get_future();
        mailbox_.post([&task](PluginStore& store) { task(store); });  // `task` lives until the result is here
        return result.get();
    }
    void serve();
    void announce(PluginStore& store);

    PluginStore store_;
    Listener listener_;
    Mailbox<PluginStore&> mailbox_;
    std::thread thread_;
};

/// Which names and plugins an operation is working on: each may have one at a time. Thread: any.
class PluginClaims {
public:
    /// Ends with its destructor. Move-only.
    class [[nodiscard]] Claim {
    public:
        Claim(PluginClaims& claims, std::string subject) noexcept : claims_{&claims}, subject_{std::move(subject)} {}
        Claim(Claim&& other) noexcept
            : claims_{std::exchange(other.claims_, nullptr)}, subject_{std::move(other.subject_)} {}
        Claim& operator=(Claim&&) = delete;
        ~Claim() {
            if (claims_ != nullptr) claims_->let_go(subject_);
        }

    private:
        PluginClaims* claims_;
        std::string subject_;
    };

    /// `subject`: the ID of a plugin, or the name that one is to have. `name` is for the error.
    [[nodiscard]] OperationResult<Claim> claim(const std::string& subject, const std::string& name);

private:
    void let_go(const std::string& subject) noexcept;

    std::mutex mutex_;
    std::set<std::string> subjects_;  ///< guarded by the mutex
};

}  // namespace brokerd
