#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/digest.h"
#include "common/json.h"
#include "common/result.h"
#include "daemon/managed/nullable_list.h"

namespace brokerd {

/// Ours: a config is a few kilobytes; whoever sends more is not describing a plugin.
inline constexpr std::size_t kMaxConfigBytes = std::size_t{4} << 20;

/// Why a config is refused: what is wrong, and the JSON pointer (RFC 6901) of the value that is. The pointer is spelled
/// as in Docker's document ("/linux/devices/0/path"), however the file spells it; empty: the whole document.
struct ConfigError {
    std::string pointer;
    std::string message;

    /// "/env/0/name: must not be empty"
    [[nodiscard]] std::string str() const;
};

/// "docker.volumedriver/1.0": prefix, capability in lower case, version. Docker requires no version.
struct InterfaceType {
    std::string prefix;
    std::string capability;
    std::string version;

    /// As Docker prints it: with the slash also where there is no version.
    [[nodiscard]] std::string str() const;

    friend bool operator==(const InterfaceType&, const InterfaceType&) = default;
};

/// A mount of the plugin. `source` is missing where the plugin asks for none; it may be an empty text where the
/// operator is to set it.
struct PluginMount {
    std::string name;
    std::string description;
    std::optional<std::string> source;
    std::string destination;  ///< absolute, inside the plugin
    std::string type;
    NullableList<std::string> options;
    NullableList<std::string> settable;  ///< "source" or nothing

    /// Whether `source` is a path on the host: of type bind, or with the option bind or rbind.
    [[nodiscard]] bool is_bind() const;

    friend bool operator==(const PluginMount&, const PluginMount&) = default;
};

struct PluginDevice {
    std::string name;
    std::string description;
    std::optional<std::string> path;     ///< absolute, on the host; may be an empty text where it is to be set
    NullableList<std::string> settable;  ///< "path" or nothing

    friend bool operator==(const PluginDevice&, const PluginDevice&) = default;
};

struct PluginEnv {
    std::string name;
    std::string description;
    std::optional<std::string> value;
    NullableList<std::string> settable;  ///< "value" or nothing

    friend bool operator==(const PluginEnv&, const PluginEnv&) = default;
};

struct PluginArgs {
    std::string name;
    std::string description;
    NullableList<std::string> value;
    NullableList<std::string> settable;  ///< "value" or nothing

    friend bool operator==(const PluginArgs&, const PluginArgs&) = default;
};

/// What a managed plugin is and asks for: the config of a plugin image, media type
/// application/vnd.docker.plugin.v1+json ("Plugin Config Version 1 of Plugin V2" in Docker's documentation, with the
/// fields that the engine API's schema `Plugin` adds). A value; parse() makes it and vouches for every field, so nobody
/// checks again. Immutable once shared; any thread.
///
/// Read as Docker reads it, by Go's rules: members match whatever their case, null is the same as absence, and unknown
/// members are skipped, because newer engines add some (they survive where the original bytes are kept). In Docker 1.12
/// `capabilities` and `devices` stood beside `interface` instead of in `linux`: both places are read.
/// Stricter than Docker, which validates nothing: what cannot work (no entrypoint, a socket with a slash), what is
/// ambiguous (a member twice, in any spelling) and what misleads (settable fields that do not exist) is refused.
struct PluginConfig {
    enum class Network : std::uint8_t { unset, none, null, host, bridge };

    std::string description;
    std::string documentation;
    std::string docker_version;  ///< of the engine that created the image; empty where none says so
    NullableList<InterfaceType> interface_types;
    std::string interface_socket;  ///< a file name, in /run/docker/plugins of the plugin
    std::string interface_protocol_scheme;
    NullableList<std::string> entrypoint;  ///< never empty
    std::string workdir;                   ///< absolute, or empty
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    Network network = Network::unset;
    NullableList<PluginMount> mounts;
    bool ipc_host = false;
    bool pid_host = false;
    std::string propagated_mount;  ///< absolute, inside the plugin, or empty
    NullableList<PluginEnv> env;
    PluginArgs args;
    NullableList<std::string> capabilities;  ///< "CAP_…", each known to Linux
    bool allow_all_devices = false;
    NullableList<PluginDevice> devices;
    bool has_rootfs = false;  ///< whether there is a `rootfs` member
    std::string rootfs_type;
    NullableList<Digest> diff_ids;  ///< dockerd 20.10 writes the *compressed* layers' digests here (seen)

    /// `bytes` are a config.json or the config blob of an image.
    [[nodiscard]] static Result<PluginConfig, ConfigError> parse(std::string_view bytes);

    /// The object that Docker's API prints as "Config", null and [] as dockerd 20.10 does.
    void write_docker_json(JsonWriter& writer) const;

    /// The config blob of a created plugin, byte for byte as dockerd 20.10 writes it (Go's escapes, no spaces, a line
    /// feed at the end), so that digests agree.
    [[nodiscard]] std::string to_blob() const;

    /// Whether it is a "docker" plugin of this capability, in any case ("VolumeDriver").
    [[nodiscard]] bool declares(std::string_view capability) const;

    friend bool operator==(const PluginConfig&, const PluginConfig&) = default;
};

/// "", "none", "null", "host", "bridge"
[[nodiscard]] std::string_view to_text(PluginConfig::Network network) noexcept;

}  // namespace brokerd
