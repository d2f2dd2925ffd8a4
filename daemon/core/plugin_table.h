#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/event_log.h"
#include "daemon/core/leases.h"
#include "daemon/core/managed_plugins.h"
#include "daemon/core/plugin_entry.h"
#include "daemon/core/plugin_queries.h"
#include "daemon/loop/core_loop.h"
#include "daemon/loop/path_watch.h"
#include "daemon/loop/workers.h"
#include "daemon/proxy/proxy.h"
#include "daemon/proxy/published_sockets.h"

namespace brokerd {

struct PluginTableSettings {
    ActivationSettings activation;
    bool eager = true;  ///< activate at discovery; otherwise when somebody asks
    ProxySettings proxy{};
    AnswerLimitTable answer_limits{};
    std::string managed_directory{};  ///< where each managed plugin has a directory of its own
};

/// Who exists, in which state: the one owner of all plugin state. Turns definitions into published sockets, activations
/// and routes, and what happens to them into events.
/// Thread: the core loop's. The loop and the sockets outlive it.
class PluginTable final : public PluginQueries {
public:
    PluginTable(CoreLoop& loop, PublishedSockets& sockets, PluginTableSettings settings);
    ~PluginTable() override;
    PluginTable(const PluginTable&) = delete;
    PluginTable& operator=(const PluginTable&) = delete;

    /// For SIGHUP: tries again to publish what could not be, and makes the engine's names again that somebody removed.
    void restore_published();

    /// Discovery's Changed.
    void apply(const std::string& name, const std::optional<PluginDefinition>& definition);

    /// The installed plugins, whenever one has changed.
    void apply(const std::vector<PluginRecordPtr>& installed) { managed_.apply(installed); }
    void set_managed_unavailable(std::string reason) { managed_.set_unavailable(std::move(reason)); }

    [[nodiscard]] std::vector<PluginView> list() const override;
    [[nodiscard]] std::optional<PluginView> find(const std::string& name) const override;
    void when_settled(const std::string& name, std::chrono::milliseconds timeout, Settled done) override;
    void activate(const std::string& name, std::chrono::milliseconds timeout, Settled done) override;
    void note_missing_capability(const std::string& name, const std::string& capability) override;
    [[nodiscard]] std::vector<Finding> doctor() const override;
    void collect_counts(std::function<void(BrokerCounts)> done) override;
    [[nodiscard]] EventLog& events() noexcept override { return events_; }
    [[nodiscard]] Leases& leases() noexcept override { return leases_; }

private:
    /// Somebody who waits for a plugin to settle.
    struct Waiter {
        std::string name;
        Settled done;
        std::unique_ptr<Scheduler::Timer> timer;
    };

    [[nodiscard]] RouteReports make_reports();
    void define(const std::string& name, const PluginDefinition& definition);
    void redefine(PluginEntry& entry, const PluginDefinition& definition);
    void remove(const std::string& name);
    void set_up(PluginEntry& entry);
    void tear_down(PluginEntry& entry);
    void on_socket_changed(PluginEntry& entry);
    void withdraw(PluginEntry& entry);
    void on_activation(PluginEntry& entry, bool manifest_changed);
    void update_route(PluginEntry& entry);
    void tell(const PluginEntry& entry, std::string action, std::string detail);
    void wait(const std::string& name, std::chrono::milliseconds timeout, Settled done);
    void settle_waiters(const std::string& name);
    [[nodiscard]] PluginEntry* by_id(std::uint64_t id);

    CoreLoop& loop_;
    PublishedSockets& sockets_;
    const PluginTableSettings settings_;
    EventLog events_;
    Leases leases_;
    ManagedPlugins managed_;
    PathWatch path_watch_;
    Workers workers_;
    Proxy proxy_;
    std::map<std::string, std::unique_ptr<PluginEntry>> plugins_;
    std::map<std::uint64_t, PluginEntry*> by_id_;
    std::list<Waiter> waiters_;
    std::uint64_t last_id_ = 0;
};

}  // namespace brokerd
