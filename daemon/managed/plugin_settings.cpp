#include "daemon/managed/plugin_settings.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/secrets.h"
#include "daemon/managed/config_parts.h"
#include "daemon/managed/json_field.h"

namespace brokerd {

PluginSettings PluginSettings::defaults_of(const PluginConfig& config) {
    std::vector<std::string> env;
    for (const PluginEnv& variable : config.env) {
        if (variable.value) env.push_back(variable.name + "=" + *variable.value);
    }
    PluginSettings settings;
    settings.mounts = NullableList<PluginMount>{config.mounts.items()};
    settings.env = NullableList<std::string>{std::move(env)};
    settings.args = NullableList<std::string>{config.args.value.items()};
    settings.devices = NullableList<PluginDevice>{config.devices.items()};
    return settings;
}

namespace {

PluginSettings read_settings(const JsonField& document) {
    PluginSettings settings;
    document.expect_object();
    read_mounts(document.member("mounts"), settings.mounts);
    read_devices(document.member("devices"), settings.devices);
    document.member("args").read(settings.args);
    document.member("env").read(settings.env);
    const std::vector<JsonField> env = document.member("env").elements();
    for (std::size_t i = 0; i < settings.env.size() && i < env.size(); ++i) {
        const std::size_t equals = settings.env[i].find('=');
        if (equals == 0 || equals == std::string::npos) env[i].refuse("must have the form NAME=VALUE");
    }
    return settings;
}

}  // namespace

Result<PluginSettings, ConfigError> PluginSettings::parse(std::string_view bytes) {
    if (bytes.size() > kMaxConfigBytes) {
        return fail(ConfigError{{}, fmt::format("the settings are longer than {} MiB", kMaxConfigBytes >> 20)});
    }
    if (!is_plain_text(bytes))
        return fail(ConfigError{{}, "the settings are not JSON: they have a NUL byte or a byte order mark"});
    const auto document = parse_json(bytes);
    if (!document) {
        const JsonError& error = document.error();
        return fail(ConfigError{
            {},
            fmt::format("the settings are not JSON: line {}, column {}: {}", error.line, error.column, error.message)});
    }
    if (!document->IsObject()) return fail(ConfigError{{}, "the settings must be a JSON object"});
    std::optional<ConfigError> error;
    PluginSettings settings = read_settings(JsonField{*document, error});
    if (error) return fail(std::move(*error));
    return settings;
}

void PluginSettings::write_docker_json(JsonWriter& writer) const {
    writer.StartObject();
    write_key(writer, "Args");
    brokerd::write_docker_json(writer, args);
    write_key(writer, "Devices");
    brokerd::write_docker_json(writer, devices);
    write_key(writer, "Env");
    brokerd::write_docker_json(writer, env);
    write_key(writer, "Mounts");
    brokerd::write_docker_json(writer, mounts);
    writer.EndObject();
}

std::vector<std::string> secret_values(const PluginSettings& settings) {
    std::vector<std::string> values;
    for (const std::string& variable : settings.env) {
        const std::size_t equals = variable.find('=');
        if (equals == std::string::npos || !sounds_secret(std::string_view{variable}.substr(0, equals))) continue;
        values.push_back(variable.substr(equals + 1));
    }
    return values;
}

}  // namespace brokerd
