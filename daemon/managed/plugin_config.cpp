#include "daemon/managed/plugin_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "common/plugin_name.h"
#include "daemon/managed/config_parts.h"
#include "daemon/managed/json_field.h"

namespace brokerd {
namespace {

/// capabilities(7), Linux 6.1.
constexpr std::array<std::string_view, 41> kCapabilities{
    "CAP_AUDIT_CONTROL",   "CAP_AUDIT_READ",   "CAP_AUDIT_WRITE",
    "CAP_BLOCK_SUSPEND",   "CAP_BPF",          "CAP_CHECKPOINT_RESTORE",
    "CAP_CHOWN",           "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",          "CAP_FSETID",       "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",       "CAP_KILL",         "CAP_LEASE",
    "CAP_LINUX_IMMUTABLE", "CAP_MAC_ADMIN",    "CAP_MAC_OVERRIDE",
    "CAP_MKNOD",           "CAP_NET_ADMIN",    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",   "CAP_NET_RAW",      "CAP_PERFMON",
    "CAP_SETFCAP",         "CAP_SETGID",       "CAP_SETPCAP",
    "CAP_SETUID",          "CAP_SYSLOG",       "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",        "CAP_SYS_CHROOT",   "CAP_SYS_MODULE",
    "CAP_SYS_NICE",        "CAP_SYS_PACCT",    "CAP_SYS_PTRACE",
    "CAP_SYS_RAWIO",       "CAP_SYS_RESOURCE", "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",  "CAP_WAKE_ALARM"};

/// unix(7): a socket's path has 107 bytes, and "/run/docker/plugins/" is in front of it.
constexpr std::size_t kMaxSocketName = 87;

bool is_word(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
               c == '.';
    });
}

/// PREFIX.CAPABILITY[/VERSION]: the capability begins after the last dot before the slash, as Docker splits it. Without
/// a version Docker (and to_blob()) writes the slash all the same, so that is read as well.
void read_interface_type(const JsonField& field, InterfaceType& out) {
    std::string text;
    if (field.missing()) field.refuse("must be a text");
    field.read(text);
    const std::size_t slash = text.find('/');
    const std::string_view name = std::string_view{text}.substr(0, slash);
    const std::size_t dot = name.rfind('.');
    if (dot != std::string_view::npos) {
        out.prefix = name.substr(0, dot);
        out.capability = name.substr(dot + 1);
    }
    if (slash != std::string::npos) out.version = text.substr(slash + 1);
    if (!is_word(out.prefix) || !is_word(out.capability) || (!out.version.empty() && !is_word(out.version))) {
        field.refuse("must have the form PREFIX.CAPABILITY/VERSION, such as docker.volumedriver/1.0");
    }
}

void read_interface(const JsonField& field, PluginConfig& config) {
    field.expect_object();
    const JsonField types = field.member("types");
    if (!types.missing()) {
        std::vector<InterfaceType> all;
        for (const JsonField& element : types.elements()) read_interface_type(element, all.emplace_back());
        config.interface_types = NullableList<InterfaceType>{std::move(all)};
    }
    const JsonField socket = field.member("socket");
    socket.read(config.interface_socket);
    const std::string& name = config.interface_socket;
    if (name.empty()) socket.refuse("is missing: give the name of the plugin's socket in /run/docker/plugins");
    if (name.find('/') != std::string::npos || name == "." || name == "..") {
        socket.refuse("must be a file name without \"/\"");
    }
    if (std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }))
        socket.refuse("must not have control characters");
    if (name.size() > kMaxSocketName) socket.refuse(fmt::format("is longer than {} bytes", kMaxSocketName));
    field.member("protocolScheme").read(config.interface_protocol_scheme);
}

void read_entrypoint(const JsonField& field, PluginConfig& config) {
    field.read(config.entrypoint);
    if (config.entrypoint.empty() || config.entrypoint[0].empty()) {
        field.refuse("is missing: give the program that the plugin starts");
    }
}

void read_network(const JsonField& field, PluginConfig& config) {
    field.expect_object();
    std::string type;
    field.member("type").read(type);
    for (const auto network : {PluginConfig::Network::unset, PluginConfig::Network::none, PluginConfig::Network::null,
                               PluginConfig::Network::host, PluginConfig::Network::bridge}) {
        if (to_text(network) == type) {
            config.network = network;
            return;
        }
    }
    field.member("type").refuse(fmt::format("is \"{}\"; it can be host, bridge or none", escaped(type, 60)));
}

PluginEnv read_variable(const JsonField& field) {
    PluginEnv env;
    if (field.missing()) field.refuse("must be an object");
    field.expect_object();
    field.member("name").read(env.name);
    field.member("description").read(env.description);
    field.member("value").read(env.value);
    field.member("settable").read(env.settable);
    if (env.name.empty()) field.member("name").refuse("must not be empty");
    if (env.name.find('=') != std::string::npos) field.member("name").refuse("must not contain \"=\"");
    if (env.value && env.name.size() + 1 + env.value->size() > kMaxConfigText)  // they become one text of the settings
        field.member("value").refuse(fmt::format("is longer than {} bytes with its name", kMaxConfigText));
    check_settable(field.member("settable"), env.settable, "value");
    return env;
}

void read_env(const JsonField& field, PluginConfig& config) {
    if (field.missing()) return;
    std::vector<PluginEnv> all;
    std::set<std::string> names;
    for (const JsonField& element : field.elements()) {
        all.push_back(read_variable(element));
        if (!names.insert(all.back().name).second) {
            element.member("name").refuse(fmt::format("\"{}\" is there twice", escaped(all.back().name, 60)));
        }
    }
    config.env = NullableList<PluginEnv>{std::move(all)};
}

void read_args(const JsonField& field, PluginConfig& config) {
    field.expect_object();
    field.member("name").read(config.args.name);
    field.member("description").read(config.args.description);
    field.member("value").read(config.args.value);
    field.member("settable").read(config.args.settable);
    check_settable(field.member("settable"), config.args.settable, "value");
}

/// `flat` is where Docker 1.12 had it, `nested` where it is since.
const JsonField& either(const JsonField& nested, const JsonField& flat) {
    if (!nested.missing() && !flat.missing()) flat.refuse("is given a second time, inside \"linux\"; keep that one");
    return nested.missing() ? flat : nested;
}

void read_capabilities(const JsonField& field, PluginConfig& config) {
    field.read(config.capabilities);
    const std::vector<JsonField> elements = field.elements();
    for (std::size_t i = 0; i < config.capabilities.size() && i < elements.size(); ++i) {
        const std::string& name = config.capabilities[i];
        if (std::find(kCapabilities.begin(), kCapabilities.end(), name) == kCapabilities.end()) {
            elements[i].refuse(
                fmt::format("\"{}\" is no capability of Linux; write it as CAP_SYS_ADMIN", escaped(name, 60)));
        }
    }
}

void read_linux(const JsonField& document, PluginConfig& config) {
    const JsonField field = document.member("linux");
    field.expect_object();
    read_capabilities(either(field.member("capabilities"), document.member("capabilities")), config);
    read_devices(either(field.member("devices"), document.member("devices")), config.devices);
    field.member("allowAllDevices").read(config.allow_all_devices);
}

void read_rootfs(const JsonField& field, PluginConfig& config) {
    if (field.missing()) return;
    config.has_rootfs = true;
    field.expect_object();
    field.member("type").read(config.rootfs_type);
    const JsonField list = field.member("diff_ids");
    if (list.missing()) return;
    std::vector<Digest> digests;
    for (const JsonField& element : list.elements()) {
        std::string text;
        if (element.missing()) element.refuse("must be a text");
        element.read(text);
        const auto digest = Digest::parse(text);
        if (!digest) {
            element.refuse(digest.error().message);
            return;
        }
        digests.push_back(*digest);
    }
    config.diff_ids = NullableList<Digest>{std::move(digests)};
}

void read_path(const JsonField& field, std::string& out) {
    field.read(out);
    if (out.empty()) return;
    const std::string fault = absolute_path_fault(out);
    if (!fault.empty()) field.refuse(fault);
}

PluginConfig read_config(const JsonField& document) {
    PluginConfig config;
    document.expect_object();
    document.member("description").read(config.description);
    document.member("documentation").read(config.documentation);
    document.member("dockerVersion").read(config.docker_version);
    read_interface(document.member("interface"), config);
    read_entrypoint(document.member("entrypoint"), config);
    read_path(document.member("workdir"), config.workdir);
    const JsonField user = document.member("user");
    user.expect_object();
    user.member("uid").read(config.uid);
    user.member("gid").read(config.gid);
    read_network(document.member("network"), config);
    read_mounts(document.member("mounts"), config.mounts);
    document.member("ipchost").read(config.ipc_host);
    document.member("pidhost").read(config.pid_host);
    read_path(document.member("propagatedMount"), config.propagated_mount);
    if (config.propagated_mount == "/") {
        document.member("propagatedMount").refuse("must not be the plugin's whole file system");
    }
    read_env(document.member("env"), config);
    read_args(document.member("args"), config);
    read_linux(document, config);
    read_rootfs(document.member("rootfs"), config);
    return config;
}

}  // namespace

std::string ConfigError::str() const {
    return pointer.empty() ? message : fmt::format("{}: {}", pointer, message);
}

std::string InterfaceType::str() const {
    return fmt::format("{}.{}/{}", prefix, capability, version);
}

bool PluginMount::is_bind() const {
    return type == "bind" || std::any_of(options.begin(), options.end(), [](const std::string& option) {
               return option == "bind" || option == "rbind";
           });
}

std::string_view to_text(PluginConfig::Network network) noexcept {
    switch (network) {
        case PluginConfig::Network::unset:
            return "";
        case PluginConfig::Network::none:
            return "none";
        case PluginConfig::Network::null:
            return "null";
        case PluginConfig::Network::host:
            return "host";
        case PluginConfig::Network::bridge:
            return "bridge";
    }
    return "";
}

Result<PluginConfig, ConfigError> PluginConfig::parse(std::string_view bytes) {
    if (bytes.size() > kMaxConfigBytes) {
        return fail(ConfigError{{}, fmt::format("the config is longer than {} MiB", kMaxConfigBytes >> 20)});
    }
    if (!is_plain_text(bytes))
        return fail(ConfigError{{}, "the config is not JSON: it has a NUL byte or a byte order mark"});
    const auto document = parse_json(bytes);
    if (!document) {
        const JsonError& error = document.error();
        return fail(ConfigError{
            {},
            fmt::format("the config is not JSON: line {}, column {}: {}", error.line, error.column, error.message)});
    }
    if (!document->IsObject()) return fail(ConfigError{{}, "the config must be a JSON object"});
    std::optional<ConfigError> error;
    PluginConfig config = read_config(JsonField{*document, error});
    if (error) return fail(std::move(*error));
    return config;
}

bool PluginConfig::declares(std::string_view capability) const {
    return std::any_of(interface_types.begin(), interface_types.end(), [&](const InterfaceType& type) {
        return type.prefix == "docker" && equals_ignoring_case(type.capability, capability);
    });
}

}  // namespace brokerd
