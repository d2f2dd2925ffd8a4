#include "daemon/core/plugin_table.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "daemon/loop/log.h"

namespace brokerd {
namespace {

/// Ours: resolvers and certificate files; what hangs in the resolver holds up other names only beyond this many.
constexpr std::size_t kMaxWorkers = 16;
/// Ours: capabilities remembered per plugin that it was asked for in vain.
constexpr std::size_t kMaxLacking = 16;

Route::State route_state(Activation::State state) {
    switch (state) {
        case Activation::State::discovered:
        case Activation::State::activating:
            return Route::State::waiting;
        case Activation::State::active:
            return Route::State::active;
        case Activation::State::failed:
            return Route::State::failed;
    }
    std::abort();
}

bool is_same(const Route& a, const Route& b) {
    return a.state == b.state && a.reason == b.reason && a.target == b.target && a.manifest == b.manifest;
}

/// For whoever calls the plugin meanwhile: endpoint, cause, and what was tried (DESIGN.md section 7).
std::string route_reason(const PluginEntry& entry, const ActivationSettings& settings) {
    const auto seconds = [](std::chrono::milliseconds time) { return std::chrono::duration<double>{time}.count(); };
    const Activation& activation = *entry.activation;
    if (activation.state() != Activation::State::failed) return activation.reason();
    const std::string url = entry.definition.endpoint->str();
    const bool is_named = activation.reason().find(url) != std::string::npos;
    const std::string tried = activation.failure() == Activation::Failure::unreachable
                                  ? fmt::format("it was tried for {} s and is tried again every {} s",
                                                seconds(settings.window), seconds(settings.probe_pause))
                                  : fmt::format("it is asked again every {} s", seconds(settings.rejected_pause));
    return fmt::format("{}{}{}; {}", is_named ? "" : url, is_named ? "" : ": ", activation.reason(), tried);
}

std::optional<std::pair<dev_t, ino_t>> inode_of(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return std::nullopt;
    return std::pair{status.st_dev, status.st_ino};
}

/// A plugin's own socket in the engine's directory needs no second one there.
bool is_for_engines(const PluginDefinition& definition) {
    return definition.source != PluginDefinition::Source::socket;
}

bool is_settled(const PluginEntry& entry) {
    if (!entry.is_valid()) return true;
    const auto state = entry.activation->state();
    return (state == Activation::State::active || state == Activation::State::failed) &&
           !entry.activation->handshake_under_way();
}

}  // namespace

PluginTable::PluginTable(CoreLoop& loop, PublishedSockets& sockets, PluginTableSettings settings)
    : loop_{loop},
      sockets_{sockets},
      settings_{std::move(settings)},
      events_{loop},
      managed_{settings_.managed_directory, [this](PluginEvent event) { events_.publish(std::move(event)); }},
      path_watch_{loop},
      workers_{loop, kMaxWorkers},
      proxy_{loop, settings_.proxy, make_reports()} {}

PluginTable::~PluginTable() = default;

RouteReports PluginTable::make_reports() {
    RouteReports reports;
    reports.wanted = [this](std::uint64_t id) {
        if (PluginEntry* const entry = by_id(id); entry != nullptr && entry->activation) entry->activation->start();
    };
    reports.down = [this](std::uint64_t id, const std::shared_ptr<const Target>& target, const std::string& reason,
                          bool refused) {
        PluginEntry* const entry = by_id(id);
        if (entry == nullptr || !entry->route) return;
        try {
            if (entry->activation && entry->route->target == target) entry->activation->report_down(reason, refused);
        } catch (...) {
            loop_.report(std::current_exception());
        }
        // The thread that reported holds its requests back until it is told where to go on: also where nothing changed.
        proxy_.set_route(entry->route);
    };
    reports.suspect = [this](std::uint64_t id, const std::shared_ptr<const Target>& target) {
        PluginEntry* const entry = by_id(id);
        if (entry != nullptr && entry->activation && entry->route->target == target) entry->activation->suspect();
    };
    reports.lacking = [this](std::uint64_t id, const std::string& capability) {
        if (PluginEntry* const entry = by_id(id)) note_missing_capability(entry->definition.name, capability);
    };
    return reports;
}

PluginEntry* PluginTable::by_id(std::uint64_t id) {
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : found->second;
}

void PluginTable::apply(const std::string& name, const std::optional<PluginDefinition>& definition) {
    const auto found = plugins_.find(name);
    if (!definition) {
        if (found != plugins_.end()) remove(name);
    } else if (found == plugins_.end()) {
        define(name, *definition);
    } else {
        redefine(*found->second, *definition);
    }
    settle_waiters(name);
}

void PluginTable::define(const std::string& name, const PluginDefinition& definition) {
    auto owned = std::make_unique<PluginEntry>();
    PluginEntry& entry = *owned;
    entry.id = ++last_id_;
    entry.definition = definition;
    entry.publication = std::make_unique<Publication>(loop_, sockets_, proxy_, path_watch_);
    plugins_.emplace(name, std::move(owned));
    by_id_.emplace(entry.id, &entry);
    set_up(entry);
}

void PluginTable::redefine(PluginEntry& entry, const PluginDefinition& definition) {
    const bool same_endpoint = entry.is_valid() && definition.endpoint == entry.definition.endpoint &&
                               definition.source == entry.definition.source;
    if (same_endpoint) {
        entry.definition = definition;
        tell(entry, "redefined", fmt::format("defined by {}", definition.file));
        return;
    }
    // A published socket stays where the plugin only moved: engines go on calling it, and wait until the new place
    // answers.
    const bool keeps_sockets = entry.publication->is_open() && definition.endpoint &&
                               entry.publication->for_engines() == is_for_engines(definition);
    if (!keeps_sockets) withdraw(entry);
    tear_down(entry);
    entry.definition = definition;
    tell(entry, "redefined", fmt::format("defined by {}", definition.file));
    set_up(entry);
}

void PluginTable::set_up(PluginEntry& entry) {
    entry.state.clear();
    entry.since = loop_.wall_clock();
    if (auto name = PluginName::parse(entry.definition.name); name && entry.names.empty()) entry.names = {*name};
    if (!entry.definition.endpoint || entry.names.empty()) {
        entry.state = "invalid";
        log_warning("plugin {} is invalid: {}; {}", entry.definition.name, entry.definition.reason,
                    entry.definition.remedy);
        return tell(entry, "invalid", entry.definition.reason);
    }
    const Endpoint& endpoint = *entry.definition.endpoint;
    entry.transport = std::make_unique<EndpointTransport>(loop_, workers_, proxy_, entry.id, endpoint);
    entry.activation =
        std::make_unique<Activation>(loop_, *entry.transport, settings_.activation,
                                     [this, &entry](bool manifest_changed) { on_activation(entry, manifest_changed); });
    entry.state = state_name(entry);
    update_route(entry);
    entry.publication->open(entry.names, is_for_engines(entry.definition), entry.route);
    tell(entry, "discovered", fmt::format("{} defines it at {}", entry.definition.file, endpoint.str()));
    if (endpoint.kind() == Endpoint::Kind::unix_socket) {
        entry.socket_inode = inode_of(endpoint.path());
        entry.socket_watch = path_watch_.watch(endpoint.path(), [this, &entry] { on_socket_changed(entry); });
    }
    if (settings_.eager) entry.activation->start();
}

void PluginTable::on_socket_changed(PluginEntry& entry) {
    const auto before = std::exchange(entry.socket_inode, inode_of(entry.definition.endpoint->path()));
    if (entry.activation->state() == Activation::State::discovered) return;
    if (before && entry.socket_inode && before != entry.socket_inode) return entry.activation->poke_replaced();
    entry.activation->poke();
}

void PluginTable::tear_down(PluginEntry& entry) {
    entry.socket_watch.reset();
    entry.activation.reset();
    entry.transport.reset();
    entry.lacking.clear();
}

void PluginTable::restore_published() {
    for (const auto& [name, entry] : plugins_) {
        if (!entry->is_valid()) continue;
        entry->publication->open(entry->names, is_for_engines(entry->definition), entry->route);
        entry->publication->restore();
    }
}

void PluginTable::withdraw(PluginEntry& entry) {
    if (!entry.publication->is_open()) return;
    entry.publication->close(entry.id);
    // The old slot may still be finishing calls: what is published next is another one.
    by_id_.erase(entry.id);
    entry.id = ++last_id_;
    by_id_.emplace(entry.id, &entry);
}

void PluginTable::remove(const std::string& name) {
    auto node = plugins_.extract(name);
    PluginEntry& entry = *node.mapped();
    withdraw(entry);
    tear_down(entry);
    by_id_.erase(entry.id);
    log_info("plugin {} is gone", name);
    tell(entry, "gone", fmt::format("{} is gone", entry.definition.file));
}

void PluginTable::on_activation(PluginEntry& entry, bool manifest_changed) {
    const std::string before = std::exchange(entry.state, state_name(entry));
    update_route(entry);
    const std::string& reason = entry.activation->reason();
    if (entry.state != before) {
        entry.since = loop_.wall_clock();
        const std::string endpoint = entry.definition.endpoint->str();
        if (entry.state == "active") {
            log_info("plugin {} is active at {}", entry.definition.name, endpoint);
            tell(entry, "active", fmt::format("it answers at {}", endpoint));
        } else if (entry.state == "failed") {
            log_warning("plugin {} has failed: {}", entry.definition.name, reason);
            tell(entry, "failed", reason);
        } else {
            if (before == "active") log_warning("plugin {} is down: {}", entry.definition.name, reason);
            tell(entry, entry.state, reason);
        }
    }
    if (manifest_changed) {
        log_info("plugin {} now implements {}", entry.definition.name,
                 fmt::join(entry.activation->manifest()->capabilities(), ", "));
        tell(entry, "changed", "its manifest has changed");
    }
    settle_waiters(entry.definition.name);
}

void PluginTable::update_route(PluginEntry& entry) {
    auto route = std::make_shared<Route>();
    route->id = entry.id;
    route->plugin = entry.definition.name;
    route->state = route_state(entry.activation->state());
    route->reason = route_reason(entry, settings_.activation);
    route->wait_limit = settings_.activation.window;
    route->answer_limits = settings_.answer_limits.of(entry.definition.name);
    if (route->state == Route::State::active) {
        route->target = entry.transport->target();
        route->manifest = *entry.activation->manifest();
        route->manifest_json = route->manifest.to_json();
    }
    if (entry.route && entry.route->id == entry.id && is_same(*entry.route, *route)) return;
    entry.route = std::move(route);
    if (entry.publication->is_open()) proxy_.set_route(entry.route);
}

void PluginTable::tell(const PluginEntry& entry, std::string action, std::string detail) {
    PluginEvent event;
    event.action = std::move(action);
    event.plugin = entry.definition.name;
    event.detail = std::move(detail);
    if (entry.activation && entry.activation->manifest())
        event.implements = entry.activation->manifest()->capabilities();
    events_.publish(std::move(event));
}

std::vector<PluginView> PluginTable::list() const {
    std::vector<PluginView> views;
    views.reserve(plugins_.size());
    for (const auto& [name, entry] : plugins_) views.push_back(make_view(*entry, loop_));
    auto managed = managed_.list();
    std::move(managed.begin(), managed.end(), std::back_inserter(views));
    for (PluginView& view : views) view.leases = leases_.holders(view.name);
    return views;
}

std::optional<PluginView> PluginTable::find(const std::string& name) const {
    const auto found = plugins_.find(name);
    auto view = found == plugins_.end() ? managed_.find(name) : std::optional{make_view(*found->second, loop_)};
    if (view) view->leases = leases_.holders(view->name);
    return view;
}

void PluginTable::when_settled(const std::string& name, std::chrono::milliseconds timeout, Settled done) {
    const auto found = plugins_.find(name);
    if (found == plugins_.end()) return done(find(name));
    const PluginEntry& entry = *found->second;
    // An active plugin that is only being checked again is settled; so is one that failed and is probed.
    if (!entry.is_valid() || entry.state == "active" || entry.state == "failed") return done(find(name));
    entry.activation->start();
    wait(name, timeout, std::move(done));
}

void PluginTable::activate(const std::string& name, std::chrono::milliseconds timeout, Settled done) {
    const auto found = plugins_.find(name);
    if (found == plugins_.end()) return done(find(name));
    if (!found->second->is_valid()) return done(make_view(*found->second, loop_));
    found->second->activation->poke();
    wait(name, timeout, std::move(done));
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
    const auto found = plugins_.find(name);
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
        auto more = diagnose(*entry, loop_);
        findings.insert(findings.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    }
    std::stable_partition(findings.begin(), findings.end(),
                          [](const Finding& finding) { return finding.severity == "error"; });
    return findings;
}

void PluginTable::collect_counts(std::function<void(BrokerCounts)> done) {
    proxy_.collect([this, done = std::move(done)](const CountsCollector::Counts& threads) {
        BrokerCounts counts{{}, threads};
        counts.plugins.reserve(plugins_.size());
        for (const auto& [name, entry] : plugins_) counts.plugins.push_back({entry->id, name, "legacy", entry->state});
        done(std::move(counts));
    });
}

}  // namespace brokerd
