#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/digest.h"
#include "common/result.h"
#include "daemon/managed/plugin_settings.h"

namespace brokerd {

/// A plugin found in an engine's plugins directory, with all that installing it here needs. Paths are absolute and were
/// there when it was read.
struct ImportablePlugin {
    std::string id;
    std::string name;    ///< familiar, with tag
    std::string remote;  ///< long form
    PluginConfig config;
    std::string config_bytes;  ///< of the config blob where it is still there, otherwise as the engine recorded it
    PluginSettings settings;
    bool enabled = false;
    std::optional<Digest> manifest_digest;  ///< recorded by engines since 18.x; others only have the two below
    std::optional<Digest> config_digest;
    std::vector<Digest> layer_digests;
    std::string rootfs;
    std::string propagated_mount;  ///< empty: it has none
    /// Directory of the blobs by their hexadecimal digest; empty unless config, manifest and all layers are there with
    /// a plausible size. Their content is not verified: whoever copies them does.
    std::string blobs;
};

struct DockerImport {
    std::vector<ImportablePlugin> plugins;  ///< by name
    /// A sentence each: what was left out, and why.
    std::vector<std::string> findings;
};

/// Reads an engine's plugins directory (/var/lib/docker/plugins): ID/config.json with the engine's own record and
/// storage/blobs/sha256 (Docker 1.13 to 28), or plugins.json with ID/{config.json,plugin-settings.json} (Docker 1.12).
/// `path` may also be the engine's root, one level up. Nothing is written, no symbolic link is followed, and sizes are
/// limited. The engine should be stopped, or at least leave its plugins alone meanwhile. Thread: a worker; it waits.
[[nodiscard]] Result<DockerImport> read_docker_plugins(const std::string& path);

}  // namespace brokerd
