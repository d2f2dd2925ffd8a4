#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/digest.h"
#include "common/image_reference.h"
#include "common/plugin_limits.h"
#include "common/secrets.h"
#include "daemon/managed/privileges.h"

namespace brokerd {

/// Docker's default for `--timeout` of `docker plugin enable`.
inline constexpr std::chrono::seconds kDefaultEnableTimeout{30};

/// One installed plugin: what the operator asked for and what it was made from; never what it is doing. A value, shared
/// as PluginRecordPtr and then immutable: a change is a new record. Any thread.
struct PluginRecord {
    std::string id;    ///< 64 hexadecimal digits; of a hand-made plugin, the name of its directory
    std::string name;  ///< familiar, with tag: "vieux/sshfs:latest"
    /// Where it came from ("docker.io/vieux/sshfs:latest"): pulled from, or the name it was created with.
    std::string remote;
    std::shared_ptr<const PluginConfig> config;
    /// The bytes that `config` was parsed from: the config blob where there is one.
    std::shared_ptr<const std::string> config_bytes;
    PluginSettings settings;
    PluginLimits limits;
    bool enabled = false;  ///< desired
    std::chrono::seconds enable_timeout = kDefaultEnableTimeout;
    Privileges granted;
    std::optional<Digest> manifest_digest;  ///< none: hand-made, or imported without its blobs
    std::optional<Digest> config_digest;
    std::vector<Digest> layer_digests;  ///< in manifest order
    std::chrono::sys_seconds created{};
    std::chrono::sys_seconds updated{};
    std::uint64_t revision = 1;  ///< counts up by one with every change; the store sets it
    /// Not stored: why the plugin cannot run as it lies on disk ("its rootfs is missing: …"). Empty: nothing known.
    std::string broken;

    friend bool operator==(const PluginRecord&, const PluginRecord&) = default;
};

using PluginRecordPtr = std::shared_ptr<const PluginRecord>;

/// 64 hexadecimal digits of the kernel's randomness: a new plugin's ID.
[[nodiscard]] std::string new_plugin_id();

/// Whether `text` can be a plugin's ID and thus a directory's name: 1 to 128 letters, digits, '_', '.', '-', first a
/// letter or digit, and none of the names that the store uses itself.
[[nodiscard]] bool is_plugin_id(std::string_view text) noexcept;

/// The object that Docker's API prints for a plugin (engine API, `Plugin`). Hidden are values of env that are secrets
/// by their name or by what they are, of the config, too, and the like in its args and entrypoint.
void write_docker_json(JsonWriter& writer, const PluginRecord& record, Secrets secrets = Secrets::hidden);

}  // namespace brokerd
