#include <fmt/format.h>

#include <algorithm>

#include "common/plugin_name.h"
#include "common/secrets.h"
#include "daemon/managed/config_parts.h"
#include "daemon/managed/json_field.h"
#include "daemon/managed/plugin_settings.h"

namespace brokerd {
namespace {

/// NAME[.FIELD][=VALUE]
struct Argument {
    std::string name;
    std::string field;
    std::string value;

    [[nodiscard]] std::string shown() const { return escaped(field.empty() ? name : name + "." + field); }
};

Result<Argument> parse_argument(std::string_view text) {
    // Docker's words, which people's scripts look for.
    if (text.empty() || text.front() == '=') return fail("invalid format, must be <name>[.<field>][=<value>]");
    const std::size_t equals = text.find('=');
    Argument argument;
    argument.name = text.substr(0, equals);
    if (equals != std::string_view::npos) argument.value = text.substr(equals + 1);
    const std::size_t dot = argument.name.rfind('.');
    if (dot != std::string::npos && dot > 0) {
        argument.field = argument.name.substr(dot + 1);
        argument.name.resize(dot);
    }
    if (argument.value.size() > kMaxConfigText) {
        return fail(fmt::format("the value of \"{}\" is longer than {} bytes", argument.shown(), kMaxConfigText));
    }
    if (is_shown_secret(argument.value)) {
        return fail(fmt::format("the value of \"{}\" has {} where inspect hides a secret; give it as it is to be",
                                argument.shown(), kHidden));
    }
    if (argument.value.find('\0') != std::string::npos) {
        return fail(fmt::format("the value of \"{}\" contains a NUL character", argument.shown()));
    }
    return argument;
}

/// Whether the argument may set `only_field`, the one field that this kind of thing has.
Result<bool> check_may_set(const Argument& argument, const NullableList<std::string>& settable,
                           std::string_view only_field) {
    std::string field = argument.field;
    if (field.empty()) {
        if (settable.size() > 1) return fail("multiple fields are settable, one must be specified");
        if (settable.size() == 1) field = settable[0];
    }
    if (field == only_field && std::find(settable.begin(), settable.end(), field) != settable.end()) return true;
    return fail(fmt::format("\"{}\" is not settable", argument.shown()));
}

Result<bool> set_variable(const PluginEnv& variable, const Argument& argument, PluginSettings& settings) {
    const auto allowed = check_may_set(argument, variable.settable, "value");
    if (!allowed) return allowed;
    const std::string prefix = argument.name + "=";
    if (prefix.size() + argument.value.size() > kMaxConfigText)
        return fail(fmt::format("\"{}\" is longer than {} bytes with its name", argument.shown(), kMaxConfigText));
    std::vector<std::string> env = settings.env.items();
    const auto there =
        std::find_if(env.begin(), env.end(), [&](const std::string& item) { return item.starts_with(prefix); });
    if (there != env.end()) {
        *there = prefix + argument.value;
    } else {
        env.push_back(prefix + argument.value);
    }
    settings.env = NullableList<std::string>{std::move(env)};
    return true;
}

template <class T>
T* named(NullableList<T>& list, std::string_view name) {
    for (T& item : list.items()) {
        if (item.name == name) return &item;
    }
    return nullptr;
}

Result<bool> set_mount(const PluginMount& mount, const Argument& argument, PluginSettings& settings) {
    const auto allowed = check_may_set(argument, mount.settable, "source");
    if (!allowed) return allowed;
    PluginMount* const setting = named(settings.mounts, argument.name);
    if (!mount.source || setting == nullptr) return fail("Plugin config has no mount source");
    const std::string fault = mount_source_fault(mount, argument.value);
    if (!fault.empty()) return fail(fmt::format("the source of mount \"{}\" {}", argument.shown(), fault));
    setting->source = argument.value;
    return true;
}

Result<bool> set_device(const PluginDevice& device, const Argument& argument, PluginSettings& settings) {
    const auto allowed = check_may_set(argument, device.settable, "path");
    if (!allowed) return allowed;
    PluginDevice* const setting = named(settings.devices, argument.name);
    if (!device.path || setting == nullptr) return fail("Plugin config has no device path");
    const std::string fault = device_path_fault(argument.value);
    if (!fault.empty()) return fail(fmt::format("the path of device \"{}\" {}", argument.shown(), fault));
    setting->path = argument.value;
    return true;
}

Result<bool> set_args(const PluginArgs& args, const Argument& argument, PluginSettings& settings) {
    const auto allowed = check_may_set(argument, args.settable, "value");
    if (!allowed) return allowed;
    std::vector<std::string> words;
    std::string_view rest = argument.value;
    while (!rest.empty()) {
        const std::size_t space = rest.find(' ');
        words.emplace_back(rest.substr(0, space));
        if (space == std::string_view::npos) break;
        rest.remove_prefix(space + 1);
        if (rest.empty()) words.emplace_back();  // a space at the end begins one more word, as with Docker
    }
    if (words.size() > kMaxConfigItems)
        return fail(fmt::format("\"{}\" has more than {} words", argument.shown(), kMaxConfigItems));
    settings.args = NullableList<std::string>{std::move(words)};
    return true;
}

Result<bool> apply(const PluginConfig& config, const Argument& argument, PluginSettings& settings) {
    for (const PluginEnv& variable : config.env) {
        if (variable.name == argument.name) return set_variable(variable, argument, settings);
    }
    for (const PluginMount& mount : config.mounts) {
        if (mount.name == argument.name) return set_mount(mount, argument, settings);
    }
    for (const PluginDevice& device : config.devices) {
        if (device.name == argument.name) return set_device(device, argument, settings);
    }
    if (config.args.name == argument.name) return set_args(config.args, argument, settings);
    return fail(fmt::format("setting \"{}\" not found in the plugin configuration", escaped(argument.name)));
}

}  // namespace

Result<PluginSettings> apply_arguments(const PluginConfig& config, const PluginSettings& settings,
                                       const std::vector<std::string>& arguments) {
    if (arguments.size() > kMaxConfigItems) {
        return fail(fmt::format("more than {} settings at once", kMaxConfigItems));
    }
    PluginSettings changed = settings;
    for (const std::string& text : arguments) {
        const auto argument = parse_argument(text);
        if (!argument) return fail(argument.error());
        const auto applied = apply(config, *argument, changed);
        if (!applied) return fail(applied.error());
    }
    // What is kept must be read again at the next start.
    if (json_text([&](JsonWriter& writer) { changed.write_docker_json(writer); }).size() > kMaxConfigBytes)
        return fail(fmt::format("all settings together are longer than {} MiB", kMaxConfigBytes >> 20));
    return changed;
}

}  // namespace brokerd
