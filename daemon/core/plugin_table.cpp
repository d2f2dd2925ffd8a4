#include "daemon/core/plugin_table.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

namespace brokerd {
namespace {

/// Ours: resolvers and certificate files; what hangs in the resolver holds up other names only beyond this many.
constexpr std::size_t kMaxWorkers = 16;
/// Ours: between two tries to publish what could not be.
constexpr std::chrono::seconds kPublishPause{5};

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
    return a.state == b.state && a.reason == b.reason && a.target == b.target && a.manifest == b.manifest &&
           a.paths == b.paths && a.wait_limit == b.wait_limit && *a.answer_limits == *b.answer_limits;
}

std::optional<std::pair<dev_t, ino_t>> inode_of(const Endpoint& endpoint) {
    const bool follows = endpoint.links() == Endpoint::Links::followed;
    struct stat status {};
    if ((follows ? ::stat : ::lstat)(endpoint.path().c_str(), &status) != 0) return std::nullopt;
    return std::pair{status.st_dev, status.st_ino};
}

/// A plugin's own socket in the engine's directory needs no second one there.
bool is_for_engines(const PluginDefinition& definition) {
    return definition.source != PluginDefinition::Source::socket;
}

}  // namespace

PluginTable::PluginTable(CoreLoop& loop, PublishedSockets& sockets, PluginTableSettings settings)
    : loop_{loop},
      sockets_{sockets},
      settings_{std::move(settings)},
      events_{loop},
      journal_{loop},
      managed_{settings_.managed_directory,
               [this](PluginEvent event, const std::string& id) { publish(std::move(event), id); }},
      path_watch_{loop},
      workers_{loop, kMaxWorkers},
      proxy_{loop, settings_.proxy, make_reports()},
      config_{true, loop.wall_clock()} {}

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
    if (offered_names_.contains(name)) {  // a managed plugin wins (DESIGN.md section 8)
        definition ? void(outshone_.insert_or_assign(name, *definition)) : void(outshone_.erase(name));
        return;
    }
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
    journal_.note_moved(definition.name);
    tell(entry, "redefined", fmt::format("defined by {}", definition.file));
    set_up(entry);
}

void PluginTable::set_up(PluginEntry& entry) {
    entry.state.clear();
    entry.since = loop_.wall_clock();
    if (auto name = PluginName::parse(entry.definition.name); name && entry.names.empty()) entry.names = {*name};
    if (!entry.definition.endpoint || entry.names.empty()) {
        entry.state = "invalid";
        return tell(entry, "invalid", fmt::format("{}; {}", entry.definition.reason, entry.definition.remedy));
    }
    const Endpoint& endpoint = *entry.definition.endpoint;
    entry.transport = std::make_unique<EndpointTransport>(loop_, workers_, proxy_, entry.id, endpoint, entry.declared);
    ActivationSettings activation = settings_.activation;
    if (entry.is_managed()) activation.window = entry.window;
    entry.activation =
        std::make_unique<Activation>(loop_, *entry.transport, activation,
                                     [this, &entry](bool manifest_changed) { on_activation(entry, manifest_changed); });
    entry.state = state_name(entry);
    update_route(entry);
    publish(entry);
    if (!entry.is_managed())
        tell(entry, "discovered", fmt::format("{} defines it at {}", entry.definition.file, endpoint.str()));
    if (endpoint.kind() == Endpoint::Kind::unix_socket) {
        entry.socket_inode = inode_of(endpoint);
        entry.socket_watch = path_watch_.watch(
            endpoint.path(), [this, &entry] { on_socket_changed(entry); }, endpoint.links());
    }
    if (entry.is_managed()) probe_health(entry);
    if (settings_.eager || entry.is_managed()) entry.activation->start();
}

void PluginTable::on_socket_changed(PluginEntry& entry) {
    const auto before = std::exchange(entry.socket_inode, inode_of(*entry.definition.endpoint));
    if (entry.activation->state() == Activation::State::discovered) return;
    if (before && entry.socket_inode && before != entry.socket_inode) return entry.activation->poke_replaced();
    entry.activation->poke();
}

void PluginTable::tear_down(PluginEntry& entry) {
    entry.socket_watch.reset();
    entry.health.reset();
    entry.health_transport.reset();
    entry.activation.reset();
    entry.transport.reset();
    entry.lacking.clear();
}

void PluginTable::configure(PluginTableSettings settings) {
    settings_ = std::move(settings);
    proxy_.set_limits(settings_.proxy);
    for (const auto& [name, entry] : plugins_) {
        if (!entry->is_valid()) continue;
        if (!entry->is_managed()) entry->activation->set_window(settings_.activation.window);
        update_route(*entry);
        if (settings_.eager) entry->activation->start();
    }
}

void PluginTable::restore_published() {
    for (const auto& [name, entry] : plugins_) {
        if (!entry->is_valid()) continue;
        publish(*entry);
        entry->publication->restore();
    }
}

void PluginTable::publish(PluginEntry& entry) {
    entry.publication->open(entry.names, is_for_engines(entry.definition), entry.route);
    if (!entry.publication->has_all(entry.names) && !publish_retry_)
        publish_retry_ = loop_.after(kPublishPause, [this] { publish_missing(); });
}

/// What kept a socket from being published (a lack of descriptors, a full /run) may have passed.
void PluginTable::publish_missing() {
    publish_retry_.reset();
    for (const auto& [name, entry] : plugins_) {
        if (entry->is_valid() && !entry->publication->has_all(entry->names)) publish(*entry);
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
    if (entry.is_managed()) return void(managed_entries_.erase(entry.managed_id));
    tell(entry, "gone", fmt::format("{} is gone", entry.definition.file));
}

void PluginTable::on_activation(PluginEntry& entry, bool manifest_changed) {
    const std::string before = std::exchange(entry.state, state_name(entry));
    update_route(entry);
    if (entry.is_managed()) {
        if (entry.health) entry.state == "active" ? entry.health->start() : entry.health->stop();
        // Later: what follows may end this activation, whose callback this is.
        return loop_.post([this, id = entry.managed_id] { on_managed_activation(id); });
    }
    const std::string& reason = entry.activation->reason();
    if (entry.state != before) {
        entry.since = loop_.wall_clock();
        const std::string endpoint = entry.definition.endpoint->str();
        tell(entry, entry.state, entry.state == "active" ? fmt::format("it answers at {}", endpoint) : reason);
    } else if (entry.state == "failed") {
        journal_.note_again(entry.definition.name, reason);
    }
    if (manifest_changed) tell(entry, "changed", "its manifest has changed");
    settle_waiters(entry.definition.name);
}

void PluginTable::update_route(PluginEntry& entry) {
    auto route = std::make_shared<Route>();
    route->id = entry.id;
    route->plugin = entry.definition.name;
    route->state = route_state(entry.activation->state());
    route->reason = route_reason(entry);
    route->paths = entry.paths;
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
    publish(std::move(event), entry.managed_id);
}

void PluginTable::publish(PluginEvent event, const std::string& id) {
    journal_.note(event, id);
    events_.publish(std::move(event));
}

}  // namespace brokerd
