// One entry of plugins.json. Reading works on the text of each part: the config is kept byte for byte, because its
// digest is the image's, and because members that we do not know belong to somebody.
#include <fmt/format.h>

#include "common/plugin_name.h"
#include "daemon/managed/json_field.h"
#include "daemon/managed/plugins_file.h"
#include "daemon/managed/raw_members.h"

namespace brokerd {
namespace {

/// Of the "brokerd" object. Raised when an older brokerd would misread it.
constexpr std::uint32_t kVersion = 1;
/// A timeout of a day is no timeout any more.
constexpr std::uint32_t kMaxTimeoutSeconds = 24 * 60 * 60;

/// The members of Docker's "plugin" object, by meaning.
struct DockerParts {
    std::string_view config;  ///< padded
    std::string_view settings;
    std::string name;
    std::string tag;
    std::string id;
    std::string reference;
    bool enabled = false;
};

std::string not_json(std::string_view what, const JsonError& error) {
    return fmt::format("{} is not valid: line {}, column {}: {}", what, error.line, error.column, error.message);
}

std::string text_value(std::string_view json) {
    const auto value = parse_json(json);
    return value && value->IsString() ? std::string{value->GetString(), value->GetStringLength()} : std::string{};
}

/// Tells the three spellings apart: see read_plugins_file().
Result<DockerParts> docker_parts(std::string_view plugin) {
    const auto members = split_object(plugin);
    if (!members) return fail(not_json("its \"plugin\"", members.error()));
    DockerParts parts;
    std::vector<std::string_view> configs;
    std::string_view manifest;
    for (const RawMember& member : *members) {
        if (member.value == "null") continue;
        if (equals_ignoring_case(member.name, "Config")) configs.push_back(member.padded);
        if (equals_ignoring_case(member.name, "Manifest")) manifest = member.padded;
        if (equals_ignoring_case(member.name, "Settings")) parts.settings = member.value;
        if (equals_ignoring_case(member.name, "Name")) parts.name = text_value(member.value);
        if (equals_ignoring_case(member.name, "Tag")) parts.tag = text_value(member.value);
        if (equals_ignoring_case(member.name, "Id")) parts.id = text_value(member.value);
        if (equals_ignoring_case(member.name, "PluginReference")) parts.reference = text_value(member.value);
        if (equals_ignoring_case(member.name, "Active") || equals_ignoring_case(member.name, "Enabled")) {
            parts.enabled = parts.enabled || member.value == "true";
        }
    }
    if (!manifest.empty()) configs.insert(configs.begin(), manifest);
    if (configs.size() > 2 || (configs.size() == 2 && !parts.settings.empty())) {
        return fail("it has more than one config; keep one \"Config\" and one \"Settings\"");
    }
    if (!configs.empty()) parts.config = configs[0];
    if (configs.size() == 2) parts.settings = configs[1];
    return parts;
}

Result<std::string> full_name(const DockerParts& parts) {
    if (parts.name.empty()) return fail("it has no \"Name\"");
    const auto reference = ImageReference::parse(parts.name);
    if (!reference) return fail(fmt::format("its \"Name\" is not valid: {}", reference.error().message));
    if (reference->digest()) return fail("its \"Name\" has a digest; write NAME or NAME:TAG");
    if (reference->tag() || parts.tag.empty()) return reference->with_default_tag().familiar();
    const auto tagged = reference->with_tag(parts.tag);
    if (!tagged) return fail(fmt::format("its \"Tag\" is not valid: {}", tagged.error().message));
    return tagged->familiar();
}

std::optional<std::string> first_file(PluginDirectoryFiles& files, const std::string& id, const char* name,
                                      const char* name_in_1_12) {
    auto content = files.read(id, name);
    return content ? content : files.read(id, name_in_1_12);
}

Result<bool> read_config_and_settings(const DockerParts& parts, PluginDirectoryFiles& files, PluginRecord& record) {
    std::string bytes{parts.config};
    if (bytes.empty()) {
        auto file = first_file(files, record.id, "config.json", "manifest.json");
        if (!file) return fail("it has no \"Config\", and its directory has no config.json");
        bytes = std::move(*file);
    }
    auto config = PluginConfig::parse(bytes);
    if (!config) return fail(fmt::format("its config is not valid: {}", config.error().str()));
    record.config = std::make_shared<const PluginConfig>(std::move(*config));
    record.config_bytes = std::make_shared<const std::string>(std::move(bytes));

    std::optional<std::string> text;
    if (!parts.settings.empty()) text = std::string{parts.settings};
    if (!text) text = first_file(files, record.id, "plugin-settings.json", "plugin-config.json");
    if (!text) {
        record.settings = PluginSettings::defaults_of(*record.config);
        return true;
    }
    auto settings = PluginSettings::parse(*text);
    if (!settings) return fail(fmt::format("its settings are not valid: {}", settings.error().str()));
    record.settings = std::move(*settings);
    return true;
}

Result<Digest> read_digest(const JsonField& field) {
    std::string text;
    field.read(text);
    auto digest = Digest::parse(text);
    if (!digest) field.refuse(digest.error().message);
    return digest;
}

void read_digest_into(const JsonField& field, std::optional<Digest>& out) {
    if (field.missing()) return;
    const auto digest = read_digest(field);
    if (digest) out = *digest;
}

template <class T>
T read_number(const JsonField& field, T fallback) {
    if (field.missing()) return fallback;
    if (!field.value()->IsUint64() || field.value()->GetUint64() > std::uint64_t{1} << 53) {
        field.refuse("must be a whole number");
        return fallback;
    }
    return static_cast<T>(field.value()->GetUint64());
}

std::chrono::sys_seconds read_time(const JsonField& field) {
    return std::chrono::sys_seconds{std::chrono::seconds{read_number<std::int64_t>(field, 0)}};
}

/// Our own object.
Result<bool> read_brokerd(std::string_view bytes, PluginRecord& record, std::string& swap) {
    const auto document = parse_json(bytes, TrailingCommas::accepted);
    if (!document) return fail(not_json("its \"brokerd\"", document.error()));
    std::optional<ConfigError> error;
    const JsonField field{*document, error};
    field.expect_object();
    const auto version = read_number<std::uint32_t>(field.member("version"), 0);
    if (version > kVersion) return fail("it was written by a newer brokerd; use that one");
    if (version == 0) field.member("version").refuse("is missing");
    field.member("remote").read(record.remote);
    const auto timeout = read_number<std::uint32_t>(field.member("timeout"), 30);
    if (timeout > kMaxTimeoutSeconds) field.member("timeout").refuse("is more than a day");
    record.enable_timeout = std::chrono::seconds{timeout};
    read_digest_into(field.member("manifest"), record.manifest_digest);
    read_digest_into(field.member("config"), record.config_digest);
    for (const JsonField& layer : field.member("layers").elements()) {
        const auto digest = read_digest(layer);
        if (digest) record.layer_digests.push_back(*digest);
    }
    record.created = read_time(field.member("created"));
    record.updated = read_time(field.member("updated"));
    record.revision = read_number<std::uint64_t>(field.member("revision"), 1);
    field.member("swap").read(swap);
    if (!swap.empty() && !is_plugin_id(swap)) field.member("swap").refuse("is no staged directory");
    if (error) return fail(fmt::format("its \"brokerd\" is not valid: {}", error->str()));
    const JsonField limits = field.member("limits");
    if (!limits.missing()) {
        const auto kept = read_limits(*limits.value());
        if (!kept) return fail(fmt::format("its limits are not valid: {}", kept.error().message));
        record.limits = kept->applied_to({});
        if (const std::string fault = limits_fault(record.limits); !fault.empty()) {
            return fail(fmt::format("its limits are not valid: {}", fault));
        }
    }
    const JsonField granted = field.member("granted");
    if (granted.missing()) return true;
    auto privileges = read_privileges(*granted.value());
    if (!privileges) return fail(privileges.error());
    record.granted = std::move(*privileges);
    return true;
}

void write_digest(JsonWriter& writer, std::string_view key, const std::optional<Digest>& digest) {
    if (digest) write_member(writer, key, digest->str());
}

void write_brokerd(JsonWriter& writer, const PluginRecord& record, std::string_view swap) {
    writer.StartObject();
    write_key(writer, "version");
    writer.Uint(kVersion);
    if (!record.remote.empty()) write_member(writer, "remote", record.remote);
    write_key(writer, "timeout");
    writer.Int64(record.enable_timeout.count());
    if (!record.limits.none()) {
        write_key(writer, "limits");
        write_limits(writer, record.limits);
    }
    write_key(writer, "granted");
    write_privileges(writer, record.granted);
    write_digest(writer, "manifest", record.manifest_digest);
    write_digest(writer, "config", record.config_digest);
    write_key(writer, "layers");
    writer.StartArray();
    for (const Digest& layer : record.layer_digests) write_string(writer, layer.str());
    writer.EndArray();
    write_key(writer, "created");
    writer.Int64(record.created.time_since_epoch().count());
    write_key(writer, "updated");
    writer.Int64(record.updated.time_since_epoch().count());
    write_key(writer, "revision");
    writer.Uint64(record.revision);
    if (!swap.empty()) write_member(writer, "swap", swap);
    writer.EndObject();
}

void write_raw(JsonWriter& writer, std::string_view json) {
    writer.RawValue(json.data(), json.size(), rapidjson::kObjectType);
}

}  // namespace

std::string entry_bytes(const PluginRecord& record, std::string_view swap) {
    const std::size_t colon = record.name.rfind(':');
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    writer.StartObject();
    write_key(writer, "plugin");
    writer.StartObject();
    write_key(writer, "Config");
    write_raw(writer, *record.config_bytes);
    write_key(writer, "Settings");
    record.settings.write_docker_json(writer);
    write_key(writer, "Enabled");
    writer.Bool(record.enabled);
    write_member(writer, "Name", std::string_view{record.name}.substr(0, colon));
    write_member(writer, "Tag", std::string_view{record.name}.substr(colon + 1));
    write_member(writer, "Id", record.id);
    writer.EndObject();
    write_key(writer, "brokerd");
    write_brokerd(writer, record, swap);
    writer.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

Result<PluginsFileEntry> read_entry(const std::string& id, std::string_view bytes, PluginDirectoryFiles& files) {
    if (!is_plugin_id(id)) return fail("its ID cannot be the name of a directory");
    const auto members = split_object(bytes);
    if (!members) return fail(not_json("it", members.error()));
    std::string_view plugin;
    std::string_view brokerd;
    for (const RawMember& member : *members) {
        if (equals_ignoring_case(member.name, "plugin")) plugin = member.value;
        if (equals_ignoring_case(member.name, "brokerd")) brokerd = member.value;
    }
    if (plugin.empty()) return fail("it has no \"plugin\"");
    const auto parts = docker_parts(plugin);
    if (!parts) return fail(parts.error());
    if (!parts->id.empty() && parts->id != id) {
        return fail(fmt::format("its \"Id\" is \"{}\" instead", escaped(parts->id, 130)));
    }
    auto name = full_name(*parts);
    if (!name) return fail(name.error());

    PluginRecord record;
    record.id = id;
    record.name = std::move(*name);
    record.remote = parts->reference;
    record.enabled = parts->enabled;
    const auto configured = read_config_and_settings(*parts, files, record);
    if (!configured) return fail(configured.error());
    PluginsFileEntry entry;
    if (brokerd.empty()) {
        // Made by hand or by an engine: whoever wrote it here, as root, granted what it says.
        record.granted = required_privileges(*record.config, record.settings);
    } else {
        const auto own = read_brokerd(brokerd, record, entry.swap);
        if (!own) return fail(own.error());
    }
    entry.bytes = std::make_shared<const std::string>(entry_bytes(record, entry.swap));
    entry.record = std::make_shared<const PluginRecord>(std::move(record));
    return entry;
}

}  // namespace brokerd
