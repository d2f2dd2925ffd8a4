#include <fmt/format.h>

#include "daemon/core/plugin_table.h"
#include "daemon/loop/log_entry.h"

// The managed plugins' part of the table: one that is wanted to run has an entry like any other, under all the names
// that engines may call it by.

namespace brokerd {

void PluginTable::run_managed_plugins(ManagedRunning running) {
    health_ = running.health;
    runner_problem_ = std::move(running.runner_problem);
    PluginOffers& offers = *this;  // a base that only this class may see
    runs_ = std::make_unique<ManagedRuns>(
        loop_, running.runner, running.supervisor, std::move(running.places), offers, std::move(running.diagnose),
        [this](const PluginRecord& plugin, const std::string& state, const std::string& reason) {
            on_managed_change(plugin, state, reason);
        });
    runs_->restart_unhealthy(running.restart_unhealthy);
}

void PluginTable::configure_managed(std::chrono::milliseconds health_interval, bool restart_unhealthy) {
    health_.interval = health_interval;
    if (!runs_) return;
    // Those that become healthy by it may be told of, and do something about it: none of it removes an entry at once.
    for (const auto& [id, entry] : managed_entries_) {
        if (entry->health) entry->health->set_interval(health_interval);
    }
    runs_->restart_unhealthy(restart_unhealthy);  // after that: without probes nobody is unhealthy
}

void PluginTable::apply(const std::vector<PluginRecordPtr>& installed) {
    managed_.apply(installed);
    if (runs_) runs_->apply(installed);
}

PluginEntry* PluginTable::managed_entry(const std::string& id) const {
    const auto found = managed_entries_.find(id);
    return found == managed_entries_.end() ? nullptr : found->second;
}

void PluginTable::offer(PluginOffer offer) {
    for (const PluginName& name : offer.names) {
        const auto legacy = plugins_.find(name.str());
        if (legacy != plugins_.end() && !legacy->second->is_managed()) {
            log_entry(
                {LogLevel::warning,
                 fmt::format("plugin {}: the managed plugin {} takes this name; {} does not count while it is enabled",
                             name.str(), offer.name, legacy->second->definition.file),
                 message::kPluginNameTaken,
                 {{"PLUGIN_NAME", name.str()}, {"PLUGIN_ID", offer.id}}});
            outshone_.insert_or_assign(name.str(), legacy->second->definition);
            remove(name.str());
        }
        offered_names_.insert_or_assign(name.str(), offer.name);
    }
    PluginDefinition definition;
    definition.name = offer.name;
    definition.file = std::move(offer.directory);
    definition.source = PluginDefinition::Source::image;
    definition.endpoint = std::move(offer.endpoint);

    auto owned = std::make_unique<PluginEntry>();
    PluginEntry& entry = *owned;
    entry.id = ++last_id_;
    entry.definition = std::move(definition);
    entry.names = std::move(offer.names);
    entry.managed_id = std::move(offer.id);
    entry.declared = std::move(offer.capabilities);
    entry.paths = std::move(offer.paths);
    entry.window = offer.window;
    entry.publication = std::make_unique<Publication>(loop_, sockets_, proxy_, path_watch_);
    plugins_.emplace(offer.name, std::move(owned));
    by_id_.emplace(entry.id, &entry);
    managed_entries_.emplace(entry.managed_id, &entry);
    set_up(entry);
}

void PluginTable::withdraw(const std::string& id) {
    const PluginEntry* const entry = managed_entry(id);
    if (entry == nullptr) return;
    const std::string key = entry->definition.name;
    const std::vector<PluginName> names = entry->names;
    remove(key);
    for (const PluginName& name : names) {
        offered_names_.erase(name.str());
        if (auto outshone = outshone_.extract(name.str())) define(name.str(), outshone.mapped());
    }
    settle_waiters(key);
}

void PluginTable::report_down(const std::string& id, const std::string& reason) {
    if (PluginEntry* const entry = managed_entry(id); entry != nullptr && entry->activation)
        entry->activation->report_down(reason, false);
}

const Activation* PluginTable::activation(const std::string& id) const {
    const PluginEntry* const entry = managed_entry(id);
    return entry == nullptr ? nullptr : entry->activation.get();
}

void PluginTable::probe_health(PluginEntry& entry) {
    entry.health_transport = std::make_unique<EndpointTransport>(loop_, workers_, proxy_, entry.id,
                                                                 *entry.definition.endpoint, entry.declared);
    entry.health =
        std::make_unique<HealthProbe>(loop_, *entry.health_transport, health_,
                                      [this, id = entry.managed_id](bool healthy, const std::string& reason) {
                                          runs_->on_health(id, healthy, reason);
                                      });
}

void PluginTable::on_managed_activation(const std::string& id) {
    runs_->on_activation(id);
    if (const PluginEntry* const entry = managed_entry(id)) settle_waiters(std::string{entry->definition.name});
}

void PluginTable::on_managed_change(const PluginRecord& plugin, const std::string& state, const std::string& reason) {
    // Whether it is wanted is another matter: brokerd may stop it only because the host shuts down.
    const std::string what = state == "disabled" ? "stopped" : state;
    PluginEvent event;
    event.action = what;
    event.plugin = plugin.name;
    event.kind = "managed";
    event.implements = declared_capabilities(*plugin.config);
    event.detail = reason;
    const Activation* const way = activation(plugin.id);
    if (way != nullptr && way->manifest()) event.implements = way->manifest()->capabilities();
    publish(std::move(event), plugin.id);
    if (PluginEntry* const entry = managed_entry(plugin.id); entry != nullptr && entry->activation)
        update_route(*entry);
}

/// For whoever calls the plugin meanwhile: endpoint, cause, and what was tried (DESIGN.md section 7).
std::string PluginTable::route_reason(const PluginEntry& entry) const {
    const auto seconds = [](std::chrono::milliseconds time) { return std::chrono::duration<double>{time}.count(); };
    const Activation& activation = *entry.activation;
    if (activation.state() != Activation::State::failed) return activation.reason();
    const ActivationSettings& settings = settings_.activation;
    if (entry.is_managed()) {
        const PluginRun run = runs_->run_of(entry.managed_id);
        if (!run.reason.empty()) return fmt::format("it is {}: {}", to_text(run.phase), run.reason);
    }
    const std::string url = entry.definition.endpoint->str();
    const bool is_named = activation.reason().find(url) != std::string::npos;
    const std::string tried = activation.failure() == Activation::Failure::unreachable
                                  ? fmt::format("it was tried for {} s and is tried again every {} s",
                                                seconds(settings.window), seconds(settings.probe_pause))
                                  : fmt::format("it is asked again every {} s", seconds(settings.rejected_pause));
    return fmt::format("{}{}{}; {}", is_named ? "" : url, is_named ? "" : ": ", activation.reason(), tried);
}

void PluginTable::add_managed_findings(std::vector<Finding>& findings) const {
    if (!runs_) return;
    const std::string problem = runner_problem_ ? runner_problem_() : std::string{};
    if (!problem.empty()) {
        findings.push_back(
            {"", "error", "oci-runtime", "", problem, "install an OCI runtime (runc), or name it with --oci-runtime"});
    }
    for (const PluginView& installed : managed_.list()) {
        const PluginView view = complete(installed);
        if (view.state == "failed" || view.state == "restarting" || view.state == "unhealthy") {
            findings.push_back({view.name, "error", "not-running", view.definition, view.reason,
                                fmt::format("see what it says with \"pluginctl logs {}\"", view.name)});
        }
        for (const std::string& warning : view.warnings) {
            findings.push_back({view.name, "error", "not-published", view.definition, warning,
                                "do as the cause says, then reload brokerd (systemctl reload brokerd)"});
        }
        for (const auto& shadow : view.shadows) {
            findings.push_back({view.name, "warning", "shadowed", shadow.file, shadow.reason,
                                fmt::format("remove {}, or disable the managed plugin", shadow.file)});
        }
    }
}

}  // namespace brokerd
