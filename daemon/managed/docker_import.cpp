// Two layouts, and both may be there: an engine that was upgraded from 1.12 left its old directory behind. Everything
// is read below descriptors, without following links: root reads what containers may have been able to write to.
#include "daemon/managed/docker_import.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/plugin_name.h"
#include "daemon/managed/json_field.h"
#include "daemon/managed/plugins_file.h"
#include "daemon/managed/raw_members.h"
#include "daemon/managed/store_files.h"

namespace brokerd {
namespace {

constexpr const char* kBlobs = "storage/blobs/sha256";

/// What today's engines keep beside the "plugin" object of ID/config.json.
struct RecordedDigests {
    std::optional<Digest> manifest;
    std::optional<Digest> config;
    std::vector<Digest> layers;
};

std::optional<Digest> digest_of(const JsonField& field) {
    std::string text;
    field.read(text);
    const auto digest = Digest::parse(text);
    return digest ? std::optional<Digest>{*digest} : std::nullopt;
}

/// Digests that cannot be read are left out: the plugin can be installed without them.
RecordedDigests recorded_digests(std::string_view bytes) {
    RecordedDigests digests;
    const auto document = parse_json(bytes);
    if (!document || !document->IsObject()) return digests;
    std::optional<ConfigError> ignored;
    const JsonField field{*document, ignored};
    digests.manifest = digest_of(field.member("Manifest"));
    digests.config = digest_of(field.member("Config"));
    for (const JsonField& element : field.member("Blobsums").elements()) {
        const auto layer = digest_of(element);
        if (layer) digests.layers.push_back(*layer);
    }
    return digests;
}

/// One reading of one directory.
class Import {
public:
    explicit Import(const StateDirectory& root) : root_{root}, files_{root} {}

    Result<DockerImport> run() {
        for (const std::string& id : directory_names(root_.fd())) {
            if (is_plugin_id(id) && id != "storage" && is_directory_at(root_.fd(), id)) read_todays(id);
        }
        const auto read = read_inventory();
        if (!read) return fail(read.error());
        std::sort(result_.plugins.begin(), result_.plugins.end(),
                  [](const ImportablePlugin& a, const ImportablePlugin& b) { return a.name < b.name; });
        return std::move(result_);
    }

private:
    /// Docker 1.13 and later: ID/config.json is the engine's record, `{"plugin": {…}, "Config": DIGEST, …}`.
    void read_todays(const std::string& id) {
        const auto bytes = files_.read(id, "config.json");
        if (!bytes) return;
        const auto members = split_object(*bytes);
        // In the old layout this file is the plugin's own config, and plugins.json lists it.
        if (members && std::none_of(members->begin(), members->end(), [](const RawMember& member) {
                return equals_ignoring_case(member.name, "plugin");
            })) {
            return;
        }
        const auto entry = read_entry(id, *bytes, files_);
        if (!entry) return leave_out(id, entry.error().message);
        ImportablePlugin plugin = from_record(*entry->record);
        const RecordedDigests digests = recorded_digests(*bytes);
        plugin.manifest_digest = digests.manifest;
        plugin.config_digest = digests.config;
        plugin.layer_digests = digests.layers;
        take_config_blob(plugin);
        add(std::move(plugin));
    }

    /// Docker 1.12: plugins.json lists the directories.
    Result<bool> read_inventory() {
        const auto text = root_.read(kInventory, kMaxPluginsFileBytes);
        if (!text) return fail(text.error());
        if (!*text) return true;
        const auto content = read_plugins_file(**text, files_);
        if (!content) {
            return fail(fmt::format("{}/{} is not valid: line {}, column {}: {}", root_.path(), kInventory,
                                    content.error().line, content.error().column, content.error().message));
        }
        result_.findings.insert(result_.findings.end(), content->findings.begin(), content->findings.end());
        for (const auto& [id, entry] : content->entries) add(from_record(*entry.record));
        return true;
    }

    ImportablePlugin from_record(const PluginRecord& record) const {
        ImportablePlugin plugin;
        plugin.id = record.id;
        plugin.name = record.name;
        // Engines record the familiar form, and of created plugins nothing.
        const auto reference = ImageReference::parse(record.remote.empty() ? record.name : record.remote);
        plugin.remote = reference ? reference->str() : record.name;
        plugin.config = *record.config;
        plugin.config_bytes = *record.config_bytes;
        plugin.settings = record.settings;
        plugin.enabled = record.enabled;
        if (!is_directory_at(root_.fd(), record.id)) return plugin;  // a link to a directory is none
        if (is_directory_at(root_.fd(), record.id + "/rootfs")) plugin.rootfs = below(record.id + "/rootfs");
        if (is_directory_at(root_.fd(), record.id + "/propagated-mount")) {
            plugin.propagated_mount = below(record.id + "/propagated-mount");
        }
        return plugin;
    }

    /// The image's own config. The engine's record of it is not the same: `docker plugin set` of a mount's source or a
    /// device's path changes the recorded config as well (seen with 20.10).
    void take_config_blob(ImportablePlugin& plugin) {
        if (!plugin.config_digest) return;
        const auto blobs = StateDirectory::open_existing(below(kBlobs));
        if (!blobs) return;
        const auto bytes = blobs->read(std::string{plugin.config_digest->hex()}, kMaxConfigBytes);
        if (!bytes || !*bytes) return;
        auto config = PluginConfig::parse(**bytes);
        if (!config) {
            result_.findings.push_back(
                fmt::format("plugin {}: the blob of its config is not valid ({}); the engine's "
                            "record of it is used",
                            plugin.name, config.error().str()));
            return;
        }
        plugin.config = std::move(*config);
        plugin.config_bytes = **bytes;
        const auto there = [&](const Digest& digest) { return is_file(blobs->fd(), digest); };
        if (!plugin.layer_digests.empty() &&
            std::all_of(plugin.layer_digests.begin(), plugin.layer_digests.end(), there) &&
            (!plugin.manifest_digest || there(*plugin.manifest_digest))) {
            plugin.blobs = below(kBlobs);
        }
    }

    static bool is_file(int directory, const Digest& digest) {
        const std::string name{digest.hex()};
        return exists_at(directory, name) && !is_directory_at(directory, name);
    }

    void add(ImportablePlugin plugin) {
        if (plugin.rootfs.empty() && plugin.blobs.empty()) {
            return leave_out(plugin.id,
                             fmt::format("{} has neither a rootfs nor the layers of its image", plugin.name));
        }
        const bool taken = std::any_of(result_.plugins.begin(), result_.plugins.end(), [&](const auto& other) {
            return other.id == plugin.id || other.name == plugin.name;
        });
        if (taken) return leave_out(plugin.id, fmt::format("the name {} is another plugin's", plugin.name));
        result_.plugins.push_back(std::move(plugin));
    }

    void leave_out(const std::string& id, std::string_view reason) {
        result_.findings.push_back(fmt::format("{} is left out: {}", below(id), reason));
    }

    std::string below(std::string_view name) const { return fmt::format("{}/{}", root_.path(), name); }

    const StateDirectory& root_;
    StoreDirectoryFiles files_;
    DockerImport result_;
};

/// Whether this is a plugins directory itself, and not an engine's root.
bool looks_like_plugins(const StateDirectory& root) {
    return exists_at(root.fd(), kInventory) || is_directory_at(root.fd(), "storage") ||
           !is_directory_at(root.fd(), "plugins");
}

}  // namespace

Result<DockerImport> read_docker_plugins(const std::string& path) {
    auto root = StateDirectory::open_existing(path);
    if (!root) return fail(root.error());
    if (looks_like_plugins(*root)) return Import{*root}.run();
    const auto plugins = StateDirectory::open_existing(path + "/plugins");
    if (!plugins) return fail(plugins.error());
    return Import{*plugins}.run();
}

}  // namespace brokerd
