#include <fmt/format.h>

#include <algorithm>

#include "common/plugin_name.h"
#include "daemon/managed/plugin_store.h"

namespace brokerd {
namespace {

bool is_full_id(std::string_view text) {
    return text.size() == Digest::kHexDigits && Digest::from_hex(text);
}

Failure<FindError> not_found(std::string_view text) {
    return fail(FindError{FindError::Kind::not_found, fmt::format("plugin \"{}\" not found", escaped(text))});
}

/// Everything in `text` that looks like a digest.
void collect_digests(std::string_view text, std::set<Digest>& out) {
    constexpr std::string_view kPrefix = "sha256:";
    for (std::size_t at = text.find(kPrefix); at != std::string_view::npos; at = text.find(kPrefix, at + 1)) {
        const auto digest = Digest::parse(text.substr(at, kPrefix.size() + Digest::kHexDigits));
        if (digest) out.insert(*digest);
    }
}

}  // namespace

std::vector<PluginRecordPtr> PluginStore::records() const {
    std::vector<PluginRecordPtr> all;
    all.reserve(entries_.size());
    for (const auto& [name, id] : ids_by_name_) all.push_back(entries_.at(id).record);
    return all;
}

PluginRecordPtr PluginStore::find_id(const std::string& id) const {
    const auto there = entries_.find(id);
    return there == entries_.end() ? nullptr : there->second.record;
}

PluginRecordPtr PluginStore::find_name(std::string_view name) const {
    const auto there = ids_by_name_.find(name);
    return there == ids_by_name_.end() ? nullptr : find_id(there->second);
}

Result<PluginRecordPtr, FindError> PluginStore::find(std::string_view text) const {
    const std::string key{text};
    if (PluginRecordPtr exact = find_id(key)) return exact;
    if (is_full_id(text)) return not_found(text);
    const auto reference = ImageReference::parse(text);
    if (!reference || reference->digest()) return not_found(text);
    if (PluginRecordPtr named = find_name(reference->with_default_tag().familiar())) return named;
    const auto first = entries_.lower_bound(key);
    if (first == entries_.end() || !first->first.starts_with(text)) return not_found(text);
    const auto second = std::next(first);
    if (second != entries_.end() && second->first.starts_with(text)) {
        return fail(
            FindError{FindError::Kind::ambiguous, fmt::format("multiple plugins found for \"{}\"", escaped(text))});
    }
    return first->second.record;
}

std::set<Digest> PluginStore::used_blobs() const {
    std::set<Digest> used;
    for (const auto& [id, entry] : entries_) {
        const PluginRecord& record = *entry.record;
        if (record.manifest_digest) used.insert(*record.manifest_digest);
        if (record.config_digest) used.insert(*record.config_digest);
        used.insert(record.layer_digests.begin(), record.layer_digests.end());
    }
    // What cannot be read may be repaired by hand some day: its blobs stay.
    for (const auto& [id, value] : kept_) collect_digests(value, used);
    return used;
}

}  // namespace brokerd
