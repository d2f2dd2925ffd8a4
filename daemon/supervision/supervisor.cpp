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
    auto& entry = plugins_[id];
    const bool is_new = entry == nullptr;
    if (is_new) entry = std::make_shared<Supervised>(*this, id, false);
    const auto plugin = entry;
    plugin->stop(std::move(done));
    if (is_new) forget(id);  // one more way than post() to be done would let a start of it overtake `done`
}

void Supervisor::restart(const std::string& id, std::string reason) {
    if (auto* const plugin = find_plugin(id)) plugin->restart(std::move(reason));
}

void Supervisor::answered(const std::string& id) {
    if (auto* const plugin = find_plugin(id)) plugin->answered();
}

void Supervisor::stop_unwanted_survivors(std::function<void()> done) {
    stop_each([](const Supervised& plugin) { return plugin.unwanted_survivor(); }, std::move(done));
}

void Supervisor::stop_all(std::function<void()> done) {
    stop_each([](const Supervised&) { return true; }, std::move(done));
}

/// One after the other by ID, because whoever is told of a change may change the map, and what others want.
void Supervisor::stop_each(const std::function<bool(const Supervised&)>& chosen, std::function<void()> done) {
    std::vector<std::string> ids;
    for (const auto& [id, plugin] : plugins_) ids.push_back(id);
    const auto left = std::make_shared<std::size_t>(1);
    const auto one_less = [left, done = std::move(done)] {
        if (--*left == 0 && done) done();
    };
    for (const auto& id : ids) {
        const auto* const plugin = find_plugin(id);
        if (plugin == nullptr || !chosen(*plugin)) continue;
        ++*left;
        stop(id, one_less);
    }
    post(one_less);
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
