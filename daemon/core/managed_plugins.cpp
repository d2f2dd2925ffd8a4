#include "daemon/core/managed_plugins.h"

#include <fmt/format.h>

#include "common/capability.h"

namespace brokerd {
namespace {

std::string change(const PluginRecord& before, const PluginRecord& now) {
    if (before.manifest_digest != now.manifest_digest) return "upgraded";
    if (before.enabled != now.enabled) return now.enabled ? "enabled" : "disabled";
    return "set";
}

}  // namespace

std::vector<std::string> declared_capabilities(const PluginConfig& config) {
    std::vector<std::string> names;
    for (const InterfaceType& type : config.interface_types) {
        if (type.prefix == "docker") names.emplace_back(capability_of_type(type.capability));
    }
    return names;
}

void ManagedPlugins::apply(const std::vector<PluginRecordPtr>& records) {
    std::map<std::string, PluginRecordPtr> now;
    for (const PluginRecordPtr& record : records) now.emplace(record->name, record);
    const auto before = std::exchange(by_name_, std::move(now));
    if (!std::exchange(known_, true)) return;
    for (const auto& [name, record] : before) {
        if (!by_name_.contains(name)) tell("removed", *record, "");
    }
    for (const auto& [name, record] : by_name_) {
        const auto old = before.find(name);
        if (old == before.end()) {
            tell("installed", *record, fmt::format("from {}", record->remote));
        } else if (old->second != record) {
            tell(change(*old->second, *record), *record, "");
        }
    }
}

void ManagedPlugins::tell(std::string action, const PluginRecord& record, std::string detail) const {
    PluginEvent event;
    event.action = std::move(action);
    event.plugin = record.name;
    event.kind = "managed";
    event.implements = declared_capabilities(*record.config);
    event.detail = std::move(detail);
    tell_(std::move(event), record.id);
}

PluginView ManagedPlugins::view(const PluginRecord& record) const {
    PluginView view;
    view.name = record.name;
    view.kind = "managed";
    view.state = "disabled";
    view.implements = declared_capabilities(*record.config);
    view.definition = directory_of(record);
    view.reason = record.broken;
    view.since = record.updated;
    view.id = record.id;
    view.reference = record.remote;
    view.description = record.config->description;
    view.enabled = record.enabled;
    view.limits = record.limits;
    return view;
}

std::vector<PluginView> ManagedPlugins::list() const {
    std::vector<PluginView> views;
    views.reserve(by_name_.size());
    for (const auto& [name, record] : by_name_) views.push_back(view(*record));
    return views;
}

std::optional<PluginView> ManagedPlugins::find(const std::string& name) const {
    for (const std::string& candidate : {name, name + ":latest"}) {
        const auto found = by_name_.find(candidate);
        if (found != by_name_.end()) return view(*found->second);
    }
    for (const auto& [other, record] : by_name_) {
        if (record->id == name) return view(*record);
    }
    return std::nullopt;
}

std::vector<Finding> ManagedPlugins::doctor() const {
    std::vector<Finding> findings;
    if (!unavailable_.empty()) {
        findings.push_back({"", "error", "state-root", directory_, unavailable_,
                            "make the state root usable and restart brokerd; other plugins are served meanwhile"});
    }
    for (const auto& [name, record] : by_name_) {
        if (record->broken.empty()) continue;
        findings.push_back({name, "error", "broken", directory_of(*record), record->broken,
                            fmt::format("remove the plugin with \"pluginctl rm {}\" and install it again", name)});
    }
    return findings;
}

}  // namespace brokerd
