// plugins.json, in all its spellings: daemon/managed/plugins_file.h. The input: the file, and behind each "%%" a file
// of the plugins' directories, for entries that leave something out.
#include "daemon/managed/plugins_file.h"

#include "common/json.h"
#include "tests/fuzz/checks.h"

namespace brokerd::fuzz::plugins_file_target {
namespace {

/// Each directory has these files.
class Files : public PluginDirectoryFiles {
public:
    Files(std::string config, std::string settings) : config_{std::move(config)}, settings_{std::move(settings)} {}
    std::optional<std::string> read(const std::string& id, const std::string& file) override {
        expect(is_plugin_id(id), "only a plugin's directory is looked into", id);
        expect(file.find('/') == std::string::npos, "only files of the directory itself are read", file);
        const std::string& text = file == "config.json" ? config_ : settings_;
        if (text.empty()) return std::nullopt;
        return text;
    }

private:
    std::string config_;
    std::string settings_;
};

/// With configs that are the same by what they say: two readers do not share them.
bool same(const PluginRecord& a, PluginRecord b) {
    if (*a.config != *b.config || *a.config_bytes != *b.config_bytes) return false;
    b.config = a.config;
    b.config_bytes = a.config_bytes;
    return a == b;
}

void expect_entry(const std::string& id, const PluginsFileEntry& entry, Files& files) {
    expect(entry.record->id == id && is_plugin_id(id), "an entry is its plugin's");
    expect(entry.record->config != nullptr && entry.record->config_bytes != nullptr, "a record is complete");
    const auto again = read_entry(id, *entry.bytes, files);
    expect(again && same(*again->record, *entry.record) && again->swap == entry.swap, "an entry is read as itself",
           *entry.bytes);
    expect(*again->bytes == *entry.bytes, "an entry that is written stays as it is", *entry.bytes);
    expect(
        static_cast<bool>(parse_json(json_text([&](JsonWriter& writer) { write_docker_json(writer, *entry.record); }))),
        "what the API prints is JSON");
}

}  // namespace

void try_input(std::string_view input) {
    const auto parts = parts_of(input, 3);
    Files files{parts[1], parts[2]};
    const auto content = read_plugins_file(parts[0], files);
    if (!content) return expect_sentence(content.error().message);
    for (const std::string& finding : content->findings) expect_sentence(finding);
    expect(content->kept.size() <= content->findings.size(), "an entry that is left out is told");
    for (const auto& [id, entry] : content->entries) expect_entry(id, entry, files);

    // Written, it is the same to the next reader, and needs no further writing.
    const std::string text = plugins_file_bytes(content->entries, content->kept);
    const auto again = read_plugins_file(text, files);
    expect(static_cast<bool>(again), "a plugins.json that is written can be read", text);
    expect(again->entries.size() == content->entries.size(), "no plugin is lost, or comes back", text);
    expect(again->kept == content->kept, "what was not understood is kept as it is", text);
    expect(!again->to_be_rewritten, "what has just been written need not be written again", text);

    // What was understood needs no file of the plugins' directories any more.
    Files none{{}, {}};
    const auto alone = read_plugins_file(plugins_file_bytes(content->entries, {}), none);
    expect(static_cast<bool>(alone), "entries that are written can be read", text);
    for (const auto& [id, entry] : content->entries) {
        const auto found = alone->entries.find(id);
        expect(found != alone->entries.end() && same(*found->second.record, *entry.record), "a plugin is written whole",
               id);
    }
}

}  // namespace brokerd::fuzz::plugins_file_target
