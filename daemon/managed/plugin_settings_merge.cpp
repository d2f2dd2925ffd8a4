#include <fmt/format.h>

#include <algorithm>

#include "common/plugin_name.h"
#include "common/secrets.h"
#include "daemon/managed/plugin_settings.h"

namespace brokerd {
namespace {

bool can_set(const NullableList<std::string>& settable, std::string_view field) {
    return std::find(settable.begin(), settable.end(), field) != settable.end();
}

template <class T>
const T* named(const NullableList<T>& list, std::string_view name) {
    if (name.empty()) return nullptr;
    const auto found = std::find_if(list.begin(), list.end(), [&](const T& item) { return item.name == name; });
    return found == list.end() ? nullptr : &*found;
}

/// One upgrade: collects the merged settings.
class Merge {
public:
    Merge(const PluginConfig& old_config, const PluginSettings& old_settings, const PluginConfig& new_config)
        : old_config_{old_config}, old_settings_{old_settings}, new_config_{new_config} {
        result_.settings = PluginSettings::defaults_of(new_config);
    }

    MergedSettings run() {
        for (const std::string& item : old_settings_.env) merge_variable(item);
        for (const PluginMount& mount : old_settings_.mounts) merge_mount(mount);
        for (const PluginDevice& device : old_settings_.devices) merge_device(device);
        merge_args();
        return std::move(result_);
    }

private:
    /// `what` was set to `value` and the new version has no place for it.
    void lose(std::string_view what, std::string_view name, std::string_view value, bool exists) {
        const std::string shown = sounds_secret(name) ? std::string{kHidden} : escaped(value, 100);
        result_.notes.push_back(fmt::format("{} \"{}\" was set to \"{}\"; the new version {}, so the value is dropped",
                                            what, escaped(name, 60), shown,
                                            exists ? "does not let it be set" : "does not have it"));
    }

    void merge_variable(const std::string& item) {
        const std::string name = item.substr(0, item.find('='));
        const std::string value = item.substr(std::min(item.size(), name.size() + 1));
        const PluginEnv* const before = named(old_config_.env, name);
        if (before != nullptr && before->value == value) return;
        const PluginEnv* const now = named(new_config_.env, name);
        if (now != nullptr && now->value == value) return;
        if (now == nullptr || !can_set(now->settable, "value")) return lose("env", name, value, now != nullptr);
        std::vector<std::string>& env = result_.settings.env.items();
        const auto there = std::find_if(env.begin(), env.end(),
                                        [&](const std::string& other) { return other.starts_with(name + "="); });
        if (there != env.end()) {
            *there = item;
        } else {
            env.push_back(item);
        }
    }

    void merge_mount(const PluginMount& mount) {
        const PluginMount* const before = named(old_config_.mounts, mount.name);
        if (mount.name.empty() || !mount.source || (before != nullptr && before->source == mount.source)) return;
        const PluginMount* const now = named(new_config_.mounts, mount.name);
        if (now != nullptr && now->source == mount.source) return;
        if (now == nullptr || !now->source || !can_set(now->settable, "source")) {
            return lose("mount", mount.name, *mount.source, now != nullptr);
        }
        for (PluginMount& merged : result_.settings.mounts.items()) {
            if (merged.name == mount.name) merged.source = mount.source;
        }
    }

    void merge_device(const PluginDevice& device) {
        const PluginDevice* const before = named(old_config_.devices, device.name);
        if (device.name.empty() || !device.path || (before != nullptr && before->path == device.path)) return;
        const PluginDevice* const now = named(new_config_.devices, device.name);
        if (now != nullptr && now->path == device.path) return;
        if (now == nullptr || !now->path || !can_set(now->settable, "path")) {
            return lose("device", device.name, *device.path, now != nullptr);
        }
        for (PluginDevice& merged : result_.settings.devices.items()) {
            if (merged.name == device.name) merged.path = device.path;
        }
    }

    void merge_args() {
        const std::vector<std::string>& set = old_settings_.args.items();
        if (set == old_config_.args.value.items() || set == new_config_.args.value.items()) return;
        if (can_set(new_config_.args.settable, "value")) {
            result_.settings.args = NullableList<std::string>{set};
        } else {
            lose("args", old_config_.args.name, fmt::format("{}", fmt::join(shown_arguments(set), " ")),
                 !new_config_.args.name.empty());
        }
    }

    const PluginConfig& old_config_;
    const PluginSettings& old_settings_;
    const PluginConfig& new_config_;
    MergedSettings result_;
};

}  // namespace

MergedSettings merge_for_upgrade(const PluginConfig& old_config, const PluginSettings& old_settings,
                                 const PluginConfig& new_config) {
    return Merge{old_config, old_settings, new_config}.run();
}

}  // namespace brokerd
