#include "daemon/managed/privileges.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "common/plugin_name.h"

namespace brokerd {
namespace {

constexpr std::string_view kMount = "mount";
constexpr std::string_view kDevice = "device";
constexpr std::string_view kCapabilities = "capabilities";

/// A privilege as it is compared: its name, and its values in order.
using Key = std::pair<std::string, std::vector<std::string>>;

Key key_of(const Privilege& privilege) {
    Key key{privilege.name, privilege.value};
    std::sort(key.second.begin(), key.second.end());
    return key;
}

std::vector<Key> keys_of(const Privileges& privileges) {
    std::vector<Key> keys;
    keys.reserve(privileges.size());
    for (const Privilege& privilege : privileges) keys.push_back(key_of(privilege));
    std::sort(keys.begin(), keys.end());
    return keys;
}

Privileges privileges_of(const PluginConfig& config, const NullableList<PluginMount>& mounts,
                         const NullableList<PluginDevice>& devices) {
    Privileges all;
    // Docker asks for "none" too, which is no access at all (DESIGN.md section 8).
    if (config.network == PluginConfig::Network::host) {
        all.push_back({"network", "permissions to access a network", {"host"}});
    }
    if (config.ipc_host) all.push_back({"host ipc namespace", "allow access to host ipc namespace", {"true"}});
    if (config.pid_host) all.push_back({"host pid namespace", "allow access to host pid namespace", {"true"}});
    for (const PluginMount& mount : mounts) {
        if (mount.source) all.push_back({std::string{kMount}, "host path to mount", {*mount.source}});
    }
    for (const PluginDevice& device : devices) {
        if (device.path) all.push_back({std::string{kDevice}, "host device to access", {*device.path}});
    }
    if (config.allow_all_devices) {
        all.push_back({"allow-all-devices", "allow 'rwm' access to all devices", {"true"}});
    }
    if (!config.capabilities.empty()) {
        all.push_back(
            {std::string{kCapabilities}, "list of additional capabilities required", config.capabilities.items()});
    }
    return all;
}

/// The values of `wanted` that `granted` has not, as a multiset.
std::vector<std::string> added_values(std::vector<std::string> granted, const std::vector<std::string>& wanted) {
    std::vector<std::string> more;
    for (const std::string& value : wanted) {
        const auto there = std::find(granted.begin(), granted.end(), value);
        if (there != granted.end()) {
            granted.erase(there);
        } else {
            more.push_back(value);
        }
    }
    return more;
}

std::vector<std::string> granted_capabilities(const Privileges& granted) {
    std::vector<std::string> all;
    for (const Privilege& privilege : granted) {
        if (privilege.name == kCapabilities) all.insert(all.end(), privilege.value.begin(), privilege.value.end());
    }
    return all;
}

/// Whether the operator may have set this value: it is the source or path of something settable.
bool is_settable_value(const PluginConfig& config, const PluginSettings& settings, const Privilege& privilege) {
    const auto settable_in = [&](const auto& declared, const auto& name) {
        return std::any_of(declared.begin(), declared.end(), [&](const auto& item) {
            return !item.name.empty() && item.name == name && !item.settable.empty();
        });
    };
    if (privilege.name == kMount) {
        return std::any_of(settings.mounts.begin(), settings.mounts.end(), [&](const PluginMount& mount) {
            return mount.source == privilege.value.front() && settable_in(config.mounts, mount.name);
        });
    }
    if (privilege.name == kDevice) {
        return std::any_of(settings.devices.begin(), settings.devices.end(), [&](const PluginDevice& device) {
            return device.path == privilege.value.front() && settable_in(config.devices, device.name);
        });
    }
    return false;
}

}  // namespace

Privileges required_privileges(const PluginConfig& config) {
    return privileges_of(config, config.mounts, config.devices);
}

Privileges required_privileges(const PluginConfig& config, const PluginSettings& settings) {
    return privileges_of(config, settings.mounts, settings.devices);
}

Privileges undisclosed_access(const PluginConfig& config) {
    Privileges all;
    if (config.network == PluginConfig::Network::bridge) {
        all.push_back({"network", "access to the bridge network", {"bridge"}});
    }
    for (const PluginMount& mount : config.mounts) {
        if (!mount.source) continue;
        const std::string options = fmt::format("{}", fmt::join(mount.options, ","));
        all.push_back({"mount target",
                       "where a mount appears in the plugin, and how",
                       {fmt::format("{} on {}{}", mount.source->empty() ? "(to be set)" : *mount.source,
                                    mount.destination, options.empty() ? "" : " (" + options + ")")}});
    }
    if (!config.propagated_mount.empty()) {
        all.push_back(
            {"propagated mount", "what the plugin mounts there appears on the host", {config.propagated_mount}});
    }
    return all;
}

bool equal(const Privileges& granted, const Privileges& required) {
    return keys_of(granted) == keys_of(required);
}

Privileges added(const Privileges& granted, const Privileges& wanted) {
    std::map<Key, std::size_t> left;
    for (const Privilege& privilege : granted) ++left[key_of(privilege)];
    Privileges more;
    for (const Privilege& privilege : wanted) {
        if (privilege.name == kCapabilities) {
            std::vector<std::string> values = added_values(granted_capabilities(granted), privilege.value);
            if (!values.empty()) more.push_back({privilege.name, privilege.description, std::move(values)});
            continue;
        }
        const auto there = left.find(key_of(privilege));
        if (there != left.end() && there->second > 0) {
            --there->second;
        } else {
            more.push_back(privilege);
        }
    }
    return more;
}

bool consents_to_upgrade(const Privileges& sent, const Privileges& recorded, const Privileges& required) {
    return equal(sent, required) || equal(sent, added(recorded, required));
}

Result<Grant> check_granted(const PluginConfig& config, const PluginSettings& settings, const Privileges& granted,
                            Consent consent) {
    Grant grant;
    grant.granted = required_privileges(config, settings);
    grant.added = added(granted, grant.granted);
    grant.dropped = added(grant.granted, granted);
    Privileges refused;
    for (const Privilege& privilege : grant.added) {
        if (consent == Consent::as_granted || !is_settable_value(config, settings, privilege)) {
            refused.push_back(privilege);
        }
    }
    if (refused.empty()) return grant;
    return fail(fmt::format("the plugin would get what nobody granted: {}; install or upgrade it again to be asked",
                            describe(refused)));
}

std::string describe(const Privileges& privileges) {
    std::vector<std::string> parts;
    parts.reserve(privileges.size());
    for (const Privilege& privilege : privileges) {
        parts.push_back(escaped(fmt::format("{} [{}]", privilege.name, fmt::join(privilege.value, " "))));
    }
    return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace brokerd
