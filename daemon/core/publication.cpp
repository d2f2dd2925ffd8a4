#include "daemon/core/publication.h"

#include <algorithm>
#include <utility>

#include "daemon/loop/log_entry.h"

namespace brokerd {
namespace {

/// Ours: time for a plugin to bind the name that it has just removed.
constexpr std::chrono::seconds kLinkPause{1};

void warn_about(const PluginName& plugin, std::string message) {
    log_entry({LogLevel::warning, std::move(message), {}, {{"PLUGIN_NAME", plugin.str()}}});
}

}  // namespace

bool Publication::has(const PluginName& name) const {
    return std::any_of(names_.begin(), names_.end(),
                       [&](const Published& published) { return published.name.str() == name.str(); });
}

bool Publication::has_all(const std::vector<PluginName>& names) const {
    return std::all_of(names.begin(), names.end(), [this](const PluginName& name) { return has(name); });
}

void Publication::open(const std::vector<PluginName>& names, bool for_engines,
                       const std::shared_ptr<const Route>& route) {
    for_engines_ = for_engines;
    problem_.clear();
    for (const PluginName& name : names) {
        if (!has(name)) open(name, route);
    }
    if (problem_.empty()) told_problems_.clear();
}

void Publication::open(const PluginName& name, const std::shared_ptr<const Route>& route) {
    auto made = sockets_.publish(name, for_engines_);
    if (!made) {
        problem_ = made.error().message;
        if (!told_problems_.insert(problem_).second) return;
        log_entry({LogLevel::error,
                   fmt::format("plugin {} cannot be published: {}", name.str(), problem_),
                   message::kPluginNotPublished,
                   {{"PLUGIN_NAME", name.str()}, {"REASON", problem_}}});
        return;
    }
    if (!made->warning.empty()) warn_about(name, fmt::format("plugin {}: {}", name.str(), made->warning));
    proxy_.publish(std::move(made->listener), route);
    Published& published =
        names_.emplace_back(Published{name, std::move(made->paths), std::move(made->warning), nullptr, nullptr});
    if (published.paths.size() > 1) watch_link(published);
}

void Publication::watch_link(Published& published) {
    published.link_watch = paths_.watch(sockets_.engine_path(published.name), [this, &published] {
        // Not at once: a plugin that starts removes the file and then binds the name itself, and must win.
        if (published.link_timer) return;
        published.link_timer = scheduler_.after(kLinkPause, [this, &published] { restore(published); });
    });
}

void Publication::restore(Published& published) {
    published.link_timer.reset();
    if (!for_engines_ || !sockets_.restore(published.name)) return;
    if (published.paths.size() == 1) {  // what was in the way has gone
        published.paths.push_back(sockets_.engine_path(published.name));
        published.warning.clear();
        watch_link(published);
    }
    warn_about(published.name,
               fmt::format("plugin {}: {} was missing and is there now", published.name.str(), published.paths.back()));
}

void Publication::restore() {
    for (Published& published : names_) restore(published);
}

void Publication::close(std::uint64_t id) {
    problem_.clear();
    if (names_.empty()) return;
    for (const Published& published : names_) sockets_.withdraw(published.name);
    names_.clear();
    proxy_.withdraw(id);
}

std::vector<std::string> Publication::paths() const {
    std::vector<std::string> all;
    for (const Published& published : names_) all.insert(all.end(), published.paths.begin(), published.paths.end());
    return all;
}

std::string Publication::problem() const {
    if (!problem_.empty()) return problem_;
    const auto warned = std::find_if(names_.begin(), names_.end(),
                                     [](const Published& published) { return !published.warning.empty(); });
    return warned == names_.end() ? std::string{} : warned->warning;
}

}  // namespace brokerd
