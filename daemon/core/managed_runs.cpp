#include "daemon/core/managed_runs.h"

#include <fmt/format.h>

#include <set>

#include "common/capability.h"
#include "daemon/core/managed_plugins.h"

// Desired is not actual (DESIGN.md section 8). A record says what the operator wants; nothing here ever changes one. A
// plugin that somebody is just enabling is wanted before its record says so: it is stored as enabled only once it has
// answered, so that a crash of ours in between leaves it disabled, and the next brokerd stops what still runs.

namespace brokerd {

ManagedRuns::ManagedRuns(Scheduler& scheduler, PluginRunner& runner, SupervisorSettings settings, ManagedPlaces places,
                         PluginOffers& offers, Diagnose diagnose, Changed changed)
    : scheduler_{scheduler},
      offers_{offers},
      places_{std::move(places)},
      diagnose_{std::move(diagnose)},
      changed_{std::move(changed)},
      supervisor_{scheduler, runner, settings,
                  [this](const std::string& id, const PluginRun& run) { on_run(id, run); }} {}

ManagedRuns::~ManagedRuns() = default;

PluginOffer ManagedRuns::make_offer(const PluginRecord& plugin) const {
    const PluginConfig& config = *plugin.config;
    const std::string directory = places_.plugins + "/" + plugin.id;
    PluginOffer offer{plugin.id,
                      plugin.name,
                      {},
                      directory,
                      Endpoint::unix_socket(fmt::format("{}/{}/{}", places_.exec, plugin.id, config.interface_socket),
                                            Endpoint::Links::refused),
                      declared_capabilities(config),
                      std::make_shared<const PathRewrite>(
                          PathRewrite{config.propagated_mount, directory + "/propagated-mount", directory + "/rootfs"}),
                      plugin.enable_timeout};
    // Engines look a driver name up verbatim; only the tag "latest" may be left out (DESIGN.md section 7).
    constexpr std::string_view kLatest = ":latest";
    std::vector<std::string> names{plugin.name};
    if (plugin.name.ends_with(kLatest)) names.push_back(plugin.name.substr(0, plugin.name.size() - kLatest.size()));
    for (const std::string& name : names) {
        if (auto parsed = PluginName::parse(name)) offer.names.push_back(*std::move(parsed));
    }
    return offer;
}

void ManagedRuns::want(PluginRecordPtr plugin, Supervisor::Mode mode) {
    Wanted& wanted = wanted_[plugin->id];
    const bool is_new = wanted.plugin == nullptr;
    const bool renamed = !is_new && wanted.plugin->name != plugin->name;
    wanted.plugin = plugin;
    if (renamed) offers_.withdraw(plugin->id);
    if (is_new || renamed) offers_.offer(make_offer(*plugin));
    supervisor_.run(std::move(plugin), mode);
}

void ManagedRuns::apply(const std::vector<PluginRecordPtr>& records) {
    if (stopped_) return;  // what they say is for the next brokerd
    std::map<std::string, PluginRecordPtr> known;
    for (const PluginRecordPtr& record : records) known.emplace(record->id, record);
    const auto before = std::exchange(known_, std::move(known));
    // First what goes: its name may be another plugin's now.
    for (const auto& [id, record] : before) {
        if (known_.contains(id)) continue;
        stop(id, [this, id = id] {
            supervisor_.forget(id);
            last_state_.erase(id);
        });
    }
    for (const auto& [id, record] : known_) {
        const auto found = wanted_.find(id);
        if (found == wanted_.end()) continue;
        if (!record->enabled && !found->second.trial) {
            stop(id, {});
        } else if (record->enabled && found->second.plugin->name != record->name) {
            offers_.withdraw(id);
        }
    }
    for (const auto& [id, record] : known_) {
        if (!record->enabled) continue;
        const auto found = wanted_.find(id);
        // From now on it is wanted by its record; whoever is still waiting for it goes on waiting.
        if (found != wanted_.end() && found->second.trial && !found->second.trial->done) found->second.trial.reset();
        want(record, Supervisor::Mode::kept);
    }
    if (std::exchange(first_, false)) supervisor_.stop_unwanted_survivors({});
}

void ManagedRuns::start(PluginRecordPtr plugin, std::chrono::milliseconds timeout, Done done) {
    const std::string id = plugin->id;
    if (stopped_) return done("brokerd stops");
    const auto found = wanted_.find(id);
    if (found != wanted_.end() && found->second.trial && found->second.trial->done)
        return done(fmt::format("plugin {} is being enabled already", plugin->name));
    want(plugin, found != wanted_.end() && !found->second.trial ? Supervisor::Mode::kept : Supervisor::Mode::trial);
    const std::uint64_t number = ++last_trial_;
    wanted_[id].trial = Trial{std::move(done), scheduler_.after(timeout, [this, id] { on_timeout(id); }), number};
    on_activation(id);  // perhaps it runs and has answered
}

void ManagedRuns::on_timeout(const std::string& id) {
    const PluginRun run = supervisor_.find(id);
    const std::string socket = wanted_.at(id).plugin->config->interface_socket;
    const Activation* const activation = offers_.activation(id);
    const std::string last_try = activation == nullptr ? "" : activation->reason();
    if (run.phase != PluginRun::Phase::starting || run.pid == 0) {
        const std::string late = "it has not started in time" + (last_try.empty() ? "" : ": " + last_try);
        return end_trial(id, run.reason.empty() ? late : run.reason);
    }
    diagnose_(run.pid, id, socket, last_try, [this, id, number = wanted_.at(id).trial->number](const std::string& why) {
        const auto found = wanted_.find(id);
        // Meanwhile this trial may have been given up and another one begun.
        if (found != wanted_.end() && found->second.trial && found->second.trial->number == number) end_trial(id, why);
    });
}

void ManagedRuns::give_up(const std::string& id) {
    const auto found = wanted_.find(id);
    if (found == wanted_.end() || !found->second.trial) return;
    if (found->second.trial->done) return end_trial(id, "whoever asked for it has gone");
    stop(id, {});  // it has answered at the same moment; nobody heard of it, and nobody will store it
}

/// The plugin has failed to start while somebody waited for it: it is stopped, and then they are told.
void ManagedRuns::end_trial(const std::string& id, const std::string& problem) {
    const auto found = wanted_.find(id);
    if (found == wanted_.end() || !found->second.trial || !found->second.trial->done) return;
    const Done done = std::move(found->second.trial->done);
    found->second.trial.reset();
    const auto known = known_.find(id);
    if (known != known_.end() && known->second->enabled) return done(problem);  // it goes on trying by itself
    stop(id, [done, problem] { done(problem); });
}

/// Tells whoever waits for the plugin that it is in service, if it is: a plugin may answer before its start is
/// reported.
void ManagedRuns::pass_trial(const std::string& id) {
    const auto found = wanted_.find(id);
    if (found == wanted_.end() || !found->second.trial || !found->second.trial->done) return;
    const Activation* const activation = offers_.activation(id);
    const bool has_answered = activation != nullptr && activation->state() == Activation::State::active;
    if (!has_answered || supervisor_.find(id).phase != PluginRun::Phase::running) return;
    auto& trial = found->second.trial;
    trial->timer.reset();
    const auto known = known_.find(id);
    const Done done = std::exchange(trial->done, nullptr);
    if (known != known_.end() && known->second->enabled) trial.reset();
    done(std::nullopt);
}

void ManagedRuns::stop(const std::string& id, std::function<void()> done) {
    const auto found = wanted_.find(id);
    if (found != wanted_.end()) {
        auto trial = std::move(found->second.trial);
        offers_.withdraw(id);
        wanted_.erase(id);
        if (trial && trial->done) trial->done("it has been stopped");
    }
    supervisor_.stop(id, std::move(done));
}

void ManagedRuns::stop_all(std::function<void()> done) {
    stopped_ = true;
    // They stay offered: calls that come from now on wait for the next brokerd, as its sockets are kept.
    for (auto& [id, wanted] : wanted_) {
        auto trial = std::exchange(wanted.trial, std::nullopt);
        if (trial && trial->done) trial->done("brokerd stops");
    }
    supervisor_.stop_all(std::move(done));
}

void ManagedRuns::on_run(const std::string& id, const PluginRun& run) {
    const auto found = wanted_.find(id);
    if (found != wanted_.end()) {
        if (run.phase != PluginRun::Phase::running) {
            found->second.healthy = true;
            found->second.health.clear();
        }
        const bool is_down = run.phase == PluginRun::Phase::restarting || run.phase == PluginRun::Phase::failed ||
                             run.phase == PluginRun::Phase::stopping;
        if (is_down) offers_.report_down(id, run.reason);
        // Off without a reason is the end of a stop from before this trial, which begins now.
        const bool trial_is_over = found->second.trial && run.phase == PluginRun::Phase::off && !run.reason.empty();
        if (trial_is_over && found->second.trial->done) {
            end_trial(id, run.reason);
        } else if (trial_is_over) {  // it ended between its answer and its record's becoming enabled: keep it
            supervisor_.run(found->second.plugin, Supervisor::Mode::kept);
        }
    }
    pass_trial(id);
    note(id);
}

void ManagedRuns::on_activation(const std::string& id) {
    const Activation* const activation = offers_.activation(id);
    const auto found = wanted_.find(id);
    if (activation == nullptr || found == wanted_.end()) return;
    if (activation->state() == Activation::State::active) {
        supervisor_.answered(id);
        pass_trial(id);
    } else if (activation->state() == Activation::State::failed &&
               activation->failure() != Activation::Failure::unreachable) {
        end_trial(id, activation->reason());  // asking again will not help
    }
    note(id);
}

void ManagedRuns::on_health(const std::string& id, bool healthy, const std::string& reason) {
    const auto found = wanted_.find(id);
    if (found == wanted_.end()) return;
    found->second.healthy = healthy;
    found->second.health = reason;
    note(id);
    if (!healthy && restarts_unhealthy_) supervisor_.restart(id, reason);
}

void ManagedRuns::restart_unhealthy(bool restarts) {
    restarts_unhealthy_ = restarts;
    if (!restarts) return;
    std::vector<std::pair<std::string, std::string>> unhealthy;  // by ID: a restart changes wanted_
    for (const auto& [id, plugin] : wanted_) {
        if (!plugin.healthy) unhealthy.emplace_back(id, plugin.health);
    }
    for (const auto& [id, reason] : unhealthy) supervisor_.restart(id, reason);
}

ManagedRuns::Status ManagedRuns::status(const std::string& id) const {
    const PluginRun run = supervisor_.find(id);
    const auto wanted = wanted_.find(id);
    if (run.phase == PluginRun::Phase::off) {
        // Wanted, and its start has not been reported yet; unless brokerd stops and takes it along.
        return wanted != wanted_.end() && !stopped_ ? Status{"starting", {}} : Status{"disabled", run.reason};
    }
    const Activation* const activation = offers_.activation(id);
    if (run.phase == PluginRun::Phase::starting || run.phase == PluginRun::Phase::running) {
        if (activation != nullptr && activation->state() == Activation::State::failed)
            return {"failed", activation->reason()};
        if (run.phase == PluginRun::Phase::running && activation != nullptr &&
            activation->state() != Activation::State::active)
            return {"starting", activation->reason()};
        if (run.phase == PluginRun::Phase::running && wanted != wanted_.end() && !wanted->second.healthy)
            return {"unhealthy", wanted->second.health};
    }
    return {std::string{to_text(run.phase)}, run.reason};
}

/// Tells of a change, once.
void ManagedRuns::note(const std::string& id) {
    const auto known = known_.find(id);
    const auto wanted = wanted_.find(id);
    const PluginRecordPtr plugin = known != known_.end()     ? known->second
                                   : wanted != wanted_.end() ? wanted->second.plugin
                                                             : nullptr;
    if (plugin == nullptr) return;
    const Status now = status(id);
    if (std::exchange(last_state_[id], now.state) != now.state) changed_(*plugin, now.state, now.reason);
}

void ManagedRuns::complete(PluginView& view) const {
    const PluginRun run = supervisor_.find(view.id);
    const Status now = status(view.id);
    view.state = now.state;
    if (!now.reason.empty()) view.reason = now.reason;
    if (run.since != PluginView::Time{}) view.since = run.since;
    view.restarts = run.restarts;
    view.pid = static_cast<int>(run.pid);
    if (run.last_exit) view.last_exit = run.last_exit->str();
    if (run.next_attempt) {
        view.next_attempt = scheduler_.wall_clock() + std::chrono::duration_cast<std::chrono::system_clock::duration>(
                                                          *run.next_attempt - scheduler_.now());
    }
}

}  // namespace brokerd
