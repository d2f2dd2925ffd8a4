#include "daemon/managed/plugins_file.h"

#include <fmt/format.h>

#include <set>

#include "common/plugin_name.h"
#include "daemon/managed/raw_members.h"

namespace brokerd {
namespace {

/// One reading of a file.
class Reading {
public:
    Reading(PluginDirectoryFiles& files, const std::map<std::string, PluginsFileEntry>& previous)
        : files_{files}, previous_{previous} {}

    void read(const RawMember& member) {
        if (content_.entries.contains(member.name)) return keep(member, "its ID is there twice");
        const auto before = previous_.find(member.name);
        if (before != previous_.end() && *before->second.bytes == member.value) return add(member, before->second);
        auto entry = read_entry(member.name, member.value, files_);
        if (!entry) return keep(member, entry.error().message);
        add(member, std::move(*entry));
    }

    PluginsFileContent finish() { return std::move(content_); }

private:
    void add(const RawMember& member, PluginsFileEntry entry) {
        if (!names_.insert(entry.record->name).second) {
            return keep(member, fmt::format("its name {} is another plugin's", entry.record->name));
        }
        if (*entry.bytes != member.value) content_.to_be_rewritten = true;
        content_.entries.emplace(member.name, std::move(entry));
    }

    /// One bad entry costs no other; and nothing of it is lost, for whoever repairs it.
    void keep(const RawMember& member, std::string_view reason) {
        content_.findings.push_back(fmt::format("plugins.json: the entry \"{}\" is left out (and kept as it is): {}",
                                                escaped(member.name, 130), reason));
        content_.kept.emplace_back(member.name, std::string{member.value});
    }

    PluginDirectoryFiles& files_;
    const std::map<std::string, PluginsFileEntry>& previous_;
    std::set<std::string> names_;
    PluginsFileContent content_;
};

void append_key(std::string& out, std::string_view key) {
    if (is_plugin_id(key)) {  // nothing to escape
        out.append("\"").append(key).append("\"");
        return;
    }
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    write_string(writer, key);
    out.append(buffer.GetString(), buffer.GetSize());
}

void append_member(std::string& out, std::string_view key, std::string_view value) {
    out += out.size() > 1 ? ",\n" : "\n";
    append_key(out, key);
    out += ':';
    out += value;
}

}  // namespace

Result<PluginsFileContent, JsonError> read_plugins_file(std::string_view text, PluginDirectoryFiles& files,
                                                        const std::map<std::string, PluginsFileEntry>& previous) {
    const auto members = split_object(text);
    if (!members) return fail(members.error());
    Reading reading{files, previous};
    for (const RawMember& member : *members) reading.read(member);
    return reading.finish();
}

std::string plugins_file_bytes(const std::map<std::string, PluginsFileEntry>& entries,
                               const std::vector<std::pair<std::string, std::string>>& kept) {
    std::size_t size = 8;
    for (const auto& [id, entry] : entries) size += id.size() + entry.bytes->size() + 8;
    for (const auto& [id, value] : kept) size += id.size() + value.size() + 8;
    std::string out;
    out.reserve(size);
    out += '{';
    for (const auto& [id, entry] : entries) append_member(out, id, *entry.bytes);
    for (const auto& [id, value] : kept) append_member(out, id, value);
    out += "\n}\n";
    return out;
}

}  // namespace brokerd
