#include "daemon/managed/config_parts.h"
#include "daemon/managed/plugin_config.h"

namespace brokerd {
namespace {

void write_args(JsonWriter& writer, const PluginArgs& args) {
    writer.StartObject();
    write_member(writer, "Description", args.description);
    write_member(writer, "Name", args.name);
    write_key(writer, "Settable");
    write_docker_json(writer, args.settable);
    write_key(writer, "Value");
    write_docker_json(writer, args.value);
    writer.EndObject();
}

void write_env(JsonWriter& writer, const NullableList<PluginEnv>& env) {
    if (env.missing()) {
        writer.Null();
        return;
    }
    writer.StartArray();
    for (const PluginEnv& variable : env) {
        writer.StartObject();
        write_member(writer, "Description", variable.description);
        write_member(writer, "Name", variable.name);
        write_key(writer, "Settable");
        write_docker_json(writer, variable.settable);
        write_key(writer, "Value");
        write_nullable(writer, variable.value);
        writer.EndObject();
    }
    writer.EndArray();
}

void write_interface(JsonWriter& writer, const PluginConfig& config) {
    writer.StartObject();
    if (!config.interface_protocol_scheme.empty()) {
        write_member(writer, "ProtocolScheme", config.interface_protocol_scheme);
    }
    write_member(writer, "Socket", config.interface_socket);
    write_key(writer, "Types");
    if (config.interface_types.missing()) {
        writer.Null();
    } else {
        writer.StartArray();
        for (const InterfaceType& type : config.interface_types) write_string(writer, type.str());
        writer.EndArray();
    }
    writer.EndObject();
}

void write_linux(JsonWriter& writer, const PluginConfig& config) {
    writer.StartObject();
    write_key(writer, "AllowAllDevices");
    writer.Bool(config.allow_all_devices);
    write_key(writer, "Capabilities");
    write_docker_json(writer, config.capabilities);
    write_key(writer, "Devices");
    write_docker_json(writer, config.devices);
    writer.EndObject();
}

void write_user(JsonWriter& writer, const PluginConfig& config) {
    writer.StartObject();
    if (config.gid != 0) {
        write_key(writer, "GID");
        writer.Uint(config.gid);
    }
    if (config.uid != 0) {
        write_key(writer, "UID");
        writer.Uint(config.uid);
    }
    writer.EndObject();
}

void write_rootfs(JsonWriter& writer, const PluginConfig& config) {
    writer.StartObject();
    if (!config.diff_ids.empty()) {
        write_key(writer, "diff_ids");
        writer.StartArray();
        for (const Digest& digest : config.diff_ids) write_string(writer, digest.str());
        writer.EndArray();
    }
    if (!config.rootfs_type.empty()) write_member(writer, "type", config.rootfs_type);
    writer.EndObject();
}

/// Go's encoder escapes these inside texts, RapidJSON's does not; outside texts they do not occur.
std::string with_go_escapes(std::string_view json) {
    std::string out;
    out.reserve(json.size());
    for (std::size_t i = 0; i < json.size(); ++i) {
        if (json[i] == '<') {
            out += "\\u003c";
        } else if (json[i] == '>') {
            out += "\\u003e";
        } else if (json[i] == '&') {
            out += "\\u0026";
        } else if (json.substr(i, 3) == "\u2028" || json.substr(i, 3) == "\u2029") {
            out += json.substr(i, 3) == "\u2028" ? "\\u2028" : "\\u2029";
            i += 2;
        } else {
            out += json[i];
        }
    }
    return out;
}

}  // namespace

void PluginConfig::write_docker_json(JsonWriter& writer) const {
    writer.StartObject();
    write_key(writer, "Args");
    write_args(writer, args);
    write_member(writer, "Description", description);
    if (!docker_version.empty()) write_member(writer, "DockerVersion", docker_version);
    write_member(writer, "Documentation", documentation);
    write_key(writer, "Entrypoint");
    brokerd::write_docker_json(writer, entrypoint);
    write_key(writer, "Env");
    write_env(writer, env);
    write_key(writer, "Interface");
    write_interface(writer, *this);
    write_key(writer, "IpcHost");
    writer.Bool(ipc_host);
    write_key(writer, "Linux");
    write_linux(writer, *this);
    write_key(writer, "Mounts");
    brokerd::write_docker_json(writer, mounts);
    write_key(writer, "Network");
    writer.StartObject();
    write_member(writer, "Type", to_text(network));
    writer.EndObject();
    write_key(writer, "PidHost");
    writer.Bool(pid_host);
    write_member(writer, "PropagatedMount", propagated_mount);
    write_key(writer, "User");
    write_user(writer, *this);
    write_member(writer, "WorkDir", workdir);
    if (has_rootfs) {
        write_key(writer, "rootfs");
        write_rootfs(writer, *this);
    }
    writer.EndObject();
}

std::string PluginConfig::to_blob() const {
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    write_docker_json(writer);
    return with_go_escapes({buffer.GetString(), buffer.GetSize()}) + "\n";
}

}  // namespace brokerd
