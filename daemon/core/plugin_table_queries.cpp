#include <fmt/format.h>

#include <algorithm>

#include "daemon/core/plugin_table.h"

// What others ask of the table.

namespace brokerd {
namespace {

/// Ours: capabilities remembered per plugin that it was asked for in vain.
constexpr std::size_t kMaxLacking = 16;

bool is_settled(const PluginEntry& entry) {
    if (!entry.is_valid()) return true;
    const auto state = entry.activation->state();
    return (state == Activation::State::active || state == Activation::State::failed) &&
           !entry.activation->handshake_under_way();
}

}  // namespace

std::vector<PluginView> PluginTable::list() const {
    std::vector<PluginView> views;
    views.reserve(plugins_.size());
    for (const auto& [name, entry] : plugins_) {
        if (!entry->is_managed()) views.push_back(make_view(*entry, loop_));
    }
    for (PluginView& installed : managed_.list()) views.push_back(complete(std::move(installed)));
    for (PluginView& view : views) view.leases = leases_.holders(view.name);
    return views;
}

std::optional<PluginView> PluginTable::find(const std::string& name) const {
    auto view = view_of(name);
    if (view) view->leases = leases_.holders(view->name);
    return view;
}

const std::string& PluginTable::key_of(const std::string& name) const {
    const auto offered = offered_names_.find(name);
    return offered == offered_names_.end() ? name : offered->second;
}

std::optional<PluginView> PluginTable::view_of(const std::string& name) const {
    const auto found = plugins_.find(key_of(name));
    if (found != plugins_.end() && !found->second->is_managed()) return make_view(*found->second, loop_);
    auto installed = managed_.find(found == plugins_.end() ? name : found->first);
    if (!installed) return std::nullopt;
    return complete(*std::move(installed));
}

/// What is known of an installed plugin beyond what lies on disk.
PluginView PluginTable::complete(PluginView view) const {
    if (!runs_) return view;
    runs_->complete(view);
    const PluginEntry* const entry = managed_entry(view.id);
    if (entry == nullptr) return view;
    PluginView offered = make_view(*entry, loop_);
    view.endpoint = std::move(offered.endpoint);
    view.published = std::move(offered.published);
    if (!offered.implements.empty()) view.implements = std::move(offered.implements);
    view.attempts = offered.attempts;
    if (view.reason.empty()) view.reason = std::move(offered.reason);
    view.warnings = std::move(offered.warnings);
    for (const PluginName& name : entry->names) {
        const auto outshone = outshone_.find(name.str());
        if (outshone == outshone_.end()) continue;
        view.shadows.push_back({outshone->second.file, fmt::format("the managed plugin {} has this name", view.name)});
    }
    return view;
}

void PluginTable::when_settled(const std::string& name, std::chrono::milliseconds timeout, Settled done) {
    const std::string key = key_of(name);
    const auto found = plugins_.find(key);
    if (found == plugins_.end()) return done(find(name));
    const PluginEntry& entry = *found->second;
    // An active plugin that is only being checked again is settled; so is one that failed and is probed.
    if (!entry.is_valid() || entry.state == "active" || entry.state == "failed") return done(find(name));
    entry.activation->start();
    wait(key, timeout, std::move(done));
}

void PluginTable::activate(const std::string& name, std::chrono::milliseconds timeout, Settled done) {
    const std::string key = key_of(name);
    const auto found = plugins_.find(key);
    if (found == plugins_.end()) return done(find(name));
    if (!found->second->is_valid()) return done(make_view(*found->second, loop_));
    found->second->activation->poke();
    wait(key, timeout, std::move(done));
}

void PluginTable::wait(const std::string& name, std::chrono::milliseconds timeout, Settled done) {
    const auto waiter = waiters_.insert(waiters_.end(), Waiter{name, std::move(done), nullptr});
    waiter->timer = loop_.after(timeout, [this, waiter] {
        const Settled late = std::move(waiter->done);
        const std::string about = waiter->name;
        waiters_.erase(waiter);
        late(find(about));
    });
}

void PluginTable::settle_waiters(const std::string& name) {
    if (waiters_.empty()) return;
    const auto found = plugins_.find(name);
    if (found != plugins_.end() && !is_settled(*found->second)) return;
    std::list<Waiter> settled;
    for (auto waiter = waiters_.begin(); waiter != waiters_.end();) {
        const auto next = std::next(waiter);
        if (waiter->name == name) settled.splice(settled.end(), waiters_, waiter);
        waiter = next;
    }
    for (Waiter& waiter : settled) waiter.timer.reset();
    for (const Waiter& waiter : settled) waiter.done(find(name));
}

void PluginTable::note_missing_capability(const std::string& name, const std::string& capability) {
    const auto found = plugins_.find(key_of(name));
    if (found == plugins_.end()) return;
    auto& lacking = found->second->lacking;
    const auto known = lacking.find(capability);
    if (known != lacking.end()) {
        ++known->second;
    } else if (lacking.size() < kMaxLacking) {
        lacking.emplace(capability, 1);
    }
}

std::vector<Finding> PluginTable::doctor() const {
    std::vector<Finding> findings = managed_.doctor();
    for (const auto& [name, entry] : plugins_) {
        if (entry->is_managed()) continue;
        auto more = diagnose(*entry, loop_);
        findings.insert(findings.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    }
    add_managed_findings(findings);
    std::stable_partition(findings.begin(), findings.end(),
                          [](const Finding& finding) { return finding.severity == "error"; });
    return findings;
}

void PluginTable::note_config(bool accepted) {
    config_.accepted = accepted;
    if (accepted) config_.accepted_at = loop_.wall_clock();
}

void PluginTable::collect_counts(std::function<void(BrokerCounts)> done) {
    proxy_.collect([this, done = std::move(done)](const CountsCollector::Counts& threads) {
        BrokerCounts counts{{}, threads, config_, managed_.is_available()};
        counts.plugins.reserve(plugins_.size());
        for (const auto& [name, entry] : plugins_) {
            if (!entry->is_managed()) {
                counts.plugins.push_back({entry->id, name, "legacy", entry->state});
            } else if (const auto view = view_of(name)) {
                counts.plugins.push_back({entry->id, name, "managed", view->state, view->restarts});
            }
        }
        done(std::move(counts));
    });
}

}  // namespace brokerd
