#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/json.h"
#include "common/result.h"
#include "daemon/managed/plugin_config.h"

namespace brokerd {

/// What the operator may change about a plugin, complete: the runtime takes mounts, environment, arguments and devices
/// from here and nowhere else (Docker's `Settings`). A value; any thread.
struct PluginSettings {
    NullableList<PluginMount> mounts;
    NullableList<std::string> env;  ///< "NAME=value"
    NullableList<std::string> args;
    NullableList<PluginDevice> devices;

    /// As Docker makes them on install: all mounts and devices, the variables that have a value, the arguments.
    [[nodiscard]] static PluginSettings defaults_of(const PluginConfig& config);

    /// Reads a plugin-settings.json or a "Settings" object, by the same rules as PluginConfig::parse.
    [[nodiscard]] static Result<PluginSettings, ConfigError> parse(std::string_view bytes);

    /// The object that Docker's API prints as "Settings".
    void write_docker_json(JsonWriter& writer) const;

    friend bool operator==(const PluginSettings&, const PluginSettings&) = default;
};

/// The values of variables whose names sound secret.
[[nodiscard]] std::vector<std::string> secret_values(const PluginSettings& settings);

/// `settings` with all of `arguments` applied, or, where one of them is wrong, the reason: nothing is half done.
/// An argument is NAME[.FIELD][=VALUE] as in `docker plugin set`: the field is what follows the last dot; without a
/// field the only settable one is meant; names are looked for among env, mounts, devices and args, in this order. The
/// errors have Docker's words. `args` are split at every single space, as Docker does; but no text is no argument
/// (Docker passes an empty one). Checked beyond Docker: a bind mount's source and a device's path are absolute or
/// empty, and no value is what inspect shows in place of a secret.
[[nodiscard]] Result<PluginSettings> apply_arguments(const PluginConfig& config, const PluginSettings& settings,
                                                     const std::vector<std::string>& arguments);

/// What an upgrade makes of the operator's settings.
struct MergedSettings {
    PluginSettings settings;
    /// For the operator, a sentence each: values that were set and are lost, because the new version no longer has the
    /// name or no longer lets it be set.
    std::vector<std::string> notes;
};

/// Three-way merge: what the operator changed since `old_config`'s defaults is kept, everything else becomes
/// `new_config`'s default. Mounts and devices are told apart by name; those without a name cannot have been set.
[[nodiscard]] MergedSettings merge_for_upgrade(const PluginConfig& old_config, const PluginSettings& old_settings,
                                               const PluginConfig& new_config);

}  // namespace brokerd
