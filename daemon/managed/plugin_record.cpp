#include "daemon/managed/plugin_record.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <span>

#include "common/os/system_error.h"

namespace brokerd {
namespace {

PluginConfig as_shown(PluginConfig config) {
    for (PluginEnv& variable : config.env.items()) {
        if (variable.value)
            variable.value = shown_variable(variable.name + "=" + *variable.value).substr(variable.name.size() + 1);
    }
    config.args.value.items() = shown_arguments(config.args.value.items());
    config.entrypoint.items() = shown_arguments(config.entrypoint.items());
    return config;
}

PluginSettings as_shown(PluginSettings settings) {
    for (std::string& variable : settings.env.items()) variable = shown_variable(variable);
    settings.args.items() = shown_arguments(settings.args.items());
    return settings;
}

}  // namespace

std::string new_plugin_id() {
    std::array<unsigned char, Digest::kBytes> bytes{};
    // Up to 256 bytes come whole, and without EINTR once the kernel's pool is ready (getrandom(2)).
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
        throw_errno("getrandom for a plugin's ID");
    }
    return std::string{Digest::from_bytes(bytes).hex()};
}

bool is_plugin_id(std::string_view text) noexcept {
    const auto letter_or_digit = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    if (text.empty() || text.size() > 128 || !letter_or_digit(text.front())) return false;
    if (text == "tmp" || text.starts_with("plugins.json")) return false;
    return std::all_of(text.begin(), text.end(),
                       [&](char c) { return letter_or_digit(c) || c == '_' || c == '.' || c == '-'; });
}

void write_docker_json(JsonWriter& writer, const PluginRecord& record, Secrets secrets) {
    writer.StartObject();
    write_key(writer, "Config");
    const bool hides = secrets == Secrets::hidden;
    hides ? as_shown(*record.config).write_docker_json(writer) : record.config->write_docker_json(writer);
    write_key(writer, "Enabled");
    writer.Bool(record.enabled);
    write_member(writer, "Id", record.id);
    write_member(writer, "Name", record.name);
    if (!record.remote.empty()) write_member(writer, "PluginReference", record.remote);
    write_key(writer, "Settings");
    hides ? as_shown(record.settings).write_docker_json(writer) : record.settings.write_docker_json(writer);
    writer.EndObject();
}

}  // namespace brokerd
