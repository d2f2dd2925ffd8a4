#include "daemon/supervision/supervisor.h"

#include <cstdlib>
#include <utility>

#include "daemon/supervision/supervised.h"

namespace brokerd {

std::string_view to_text(PluginRun::Phase phase) noexcept {
    switch (phase) {
        case PluginRun::Phase::off:
            return "off";
        case PluginRun::Phase::starting:
            return "starting";
        case PluginRun::Phase::running:
            return "running";
        case PluginRun::Phase::stopping:
            return "stopping";
        case PluginRun::Phase::restarting:
            return "restarting";
        case PluginRun::Phase::failed:
            return "failed";
    }
    std::abort();
}

Supervisor::Supervisor(Scheduler& scheduler, PluginRunner& runner, SupervisorSettings settings, Changed changed)
    : scheduler_{scheduler}, runner_{runner}, settings_{settings}, changed_{std::move(changed)} {
    for (const auto& id : runner_.survivors()) plugins_.emplace(id, std::make_shared<Supervised>(*this, id, true));
}

Supervisor::~Supervisor() = default;

void Supervisor::run(PluginRecordPtr plugin, Mode mode) {
    auto& entry = plugins_[plugin->id];
    if (!entry) entry = std::make_shared<Supervised>(*this, plugin->id, false);
    entry->want(std::move(plugin), mode);
}

void Supervisor::stop(const std::string& id, std::function<void()> done) {
    auto* const plugin = find_plugin(id);
    if (plugin == nullptr) return post(std::move(done));
    plugin->stop(std::move(done));
}

void Supervisor::restart(const std::string& id, std::string reason) {
    if (auto* const plugin = find_plugin(id)) plugin->restart(std::move(reason));
}

void Supervisor::answered(const std::string& id) {
    if (auto* const plugin = find_plugin(id)) plugin->answered();
}

void Supervisor::stop_unwanted_survivors(std::function<void()> done) {
    std::vector<std::string> ids;
    for (const auto& [id, plugin] : plugins_) {
        if (plugin->unwanted_survivor()) ids.push_back(id);
    }
    stop_each(ids, std::move(done));
}

void Supervisor::stop_all(std::function<void()> done) {
    std::vector<std::string> ids;
    for (const auto& [id, plugin] : plugins_) ids.push_back(id);
    stop_each(ids, std::move(done));
}

/// By ID, because whoever is told of a change may change the map.
void Supervisor::stop_each(const std::vector<std::string>& ids, std::function<void()> done) {
    if (ids.empty()) return post(std::move(done));
    const auto left = std::make_shared<std::size_t>(ids.size());
    for (const auto& id : ids) {
        stop(id, [left, done] {
            if (--*left == 0 && done) done();
        });
    }
}

PluginRun Supervisor::find(const std::string& id) const {
    const auto* const plugin = find_plugin(id);
    return plugin == nullptr ? PluginRun{} : plugin->run();
}

void Supervisor::forget(const std::string& id) {
    auto* const plugin = find_plugin(id);
    if (plugin != nullptr && plugin->forget()) plugins_.erase(id);
}

Supervisor::Supervised* Supervisor::find_plugin(const std::string& id) const {
    const auto found = plugins_.find(id);
    return found == plugins_.end() ? nullptr : found->second.get();
}

void Supervisor::post(std::function<void()> done) {
    if (!done) return;
    const auto number = next_post_++;
    posted_[number] = scheduler_.after(std::chrono::milliseconds{0}, [this, number, done = std::move(done)] {
        posted_.erase(number);
        done();
    });
}

}  // namespace brokerd
