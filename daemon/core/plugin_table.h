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
#include "daemon/core/managed_runs.h"
#include "daemon/core/plugin_entry.h"
#include "daemon/core/plugin_journal.h"
#include "daemon/core/plugin_offers.h"
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

/// What it takes to run managed plugins.
struct ManagedRunning {
    PluginRunner& runner;
    SupervisorSettings supervisor{};
    ManagedPlaces places{};
    ManagedRuns::Diagnose diagnose{};
    std::function<std::string()> runner_problem{};  ///< why no plugin can be started; empty text: nothing known
    HealthSettings health{};
    bool restart_unhealthy = false;
};

/// Who exists, in which state: the one owner of all plugin state. Turns definitions into published sockets, activations
/// and routes, and what happens to them into events.
/// Thread: the core loop's. The loop and the sockets outlive it.
class PluginTable final : public PluginQueries, private PluginOffers {
public:
    PluginTable(CoreLoop& loop, PublishedSockets& sockets, PluginTableSettings settings);
    ~PluginTable() override;
    PluginTable(const PluginTable&) = delete;
    PluginTable& operator=(const PluginTable&) = delete;

    /// Other settings from now on, for calls and steps that begin now; `managed_directory` and the number of proxy
    /// threads must be as they were.
    void configure(PluginTableSettings settings);
    /// The same for managed plugins, where they run.
    void configure_managed(std::chrono::milliseconds health_interval, bool restart_unhealthy);
    /// For the metrics: the configuration was read again, and is in force or was refused.
    void note_config(bool accepted);
    /// For SIGHUP: tries again to publish what could not be, and makes the engine's names again that somebody removed.
    void restore_published();

    /// Discovery's Changed.
    void apply(const std::string& name, const std::optional<PluginDefinition>& definition);

    /// From now on enabled plugins run. To be called once, before the first apply() of records.
    void run_managed_plugins(ManagedRunning running);
    /// The installed plugins, whenever one has changed.
    void apply(const std::vector<PluginRecordPtr>& installed);
    /// Null until run_managed_plugins().
    [[nodiscard]] ManagedRuns* runs() noexcept { return runs_.get(); }
    /// Before the process ends: Proxy::drain().
    void drain(std::chrono::milliseconds limit, std::function<void()> done) { proxy_.drain(limit, std::move(done)); }
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

    void offer(PluginOffer offer) override;
    void withdraw(const std::string& id) override;
    void report_down(const std::string& id, const std::string& reason) override;
    [[nodiscard]] const Activation* activation(const std::string& id) const override;

    [[nodiscard]] RouteReports make_reports();
    void define(const std::string& name, const PluginDefinition& definition);
    void redefine(PluginEntry& entry, const PluginDefinition& definition);
    void remove(const std::string& name);
    void set_up(PluginEntry& entry);
    void publish(PluginEntry& entry);
    void publish_missing();
    void tear_down(PluginEntry& entry);
    void on_socket_changed(PluginEntry& entry);
    void withdraw(PluginEntry& entry);
    void on_activation(PluginEntry& entry, bool manifest_changed);
    void probe_health(PluginEntry& entry);
    void on_managed_activation(const std::string& id);
    void on_managed_change(const PluginRecord& plugin, const std::string& state, const std::string& reason);
    [[nodiscard]] std::string route_reason(const PluginEntry& entry) const;
    void update_route(PluginEntry& entry);
    void tell(const PluginEntry& entry, std::string action, std::string detail);
    void publish(PluginEvent event, const std::string& id);
    void wait(const std::string& name, std::chrono::milliseconds timeout, Settled done);
    void settle_waiters(const std::string& name);
    [[nodiscard]] PluginEntry* by_id(std::uint64_t id);
    [[nodiscard]] PluginEntry* managed_entry(const std::string& id) const;
    /// What the plugin is called in plugins_, whichever of its names this is.
    [[nodiscard]] const std::string& key_of(const std::string& name) const;
    [[nodiscard]] PluginView complete(PluginView view) const;
    [[nodiscard]] std::optional<PluginView> view_of(const std::string& name) const;
    void add_managed_findings(std::vector<Finding>& findings) const;

    CoreLoop& loop_;
    PublishedSockets& sockets_;
    PluginTableSettings settings_;
    EventLog events_;
    PluginJournal journal_;
    Leases leases_;
    ManagedPlugins managed_;
    PathWatch path_watch_;
    Workers workers_;
    Proxy proxy_;
    BrokerCounts::ConfigReading config_;
    std::map<std::string, std::unique_ptr<PluginEntry>> plugins_;
    std::unique_ptr<Scheduler::Timer> publish_retry_;
    std::map<std::uint64_t, PluginEntry*> by_id_;
    std::map<std::string, PluginEntry*> managed_entries_;  ///< of managed plugins that are offered, by their ID
    std::map<std::string, std::string> offered_names_;  ///< of managed plugins: each name, and what it is called above
    std::map<std::string, PluginDefinition> outshone_;  ///< legacy plugins whose name a managed one has taken
    std::list<Waiter> waiters_;
    std::uint64_t last_id_ = 0;
    std::function<std::string()> runner_problem_;
    HealthSettings health_;
    std::unique_ptr<ManagedRuns> runs_;  ///< last: it uses all of the above
};

}  // namespace brokerd
