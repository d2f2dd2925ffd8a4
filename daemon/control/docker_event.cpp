#include "daemon/control/docker_event.h"

#include <algorithm>
#include <array>
#include <optional>

#include "common/image_reference.h"
#include "common/json.h"
#include "daemon/control/filters.h"

namespace brokerd {
namespace {

/// Docker Engine API, "Monitor events", filters: keys that name objects, which Docker compares with an event's actor
/// whatever its type.
constexpr std::array<std::string_view, 9> kObjects{"daemon", "container", "plugin", "volume", "network",
                                                   "node",   "service",   "secret", "config"};
/// The other keys.
constexpr std::array<std::string_view, 5> kPlain{"event", "type", "scope", "label", "image"};
/// Docker's actions of containers that have more behind a colon: with one of these all are compared by their beginning.
constexpr std::array<std::string_view, 3> kLongActions{"health_status", "exec_create", "exec_start"};

bool is_known(std::string_view key) {
    return std::find(kObjects.begin(), kObjects.end(), key) != kObjects.end() ||
           std::find(kPlain.begin(), kPlain.end(), key) != kPlain.end();
}

/// Nothing where it is in neither form.
std::optional<std::vector<std::string>> values_of(const rapidjson::Value& filter) {
    std::vector<std::string> values;
    if (filter.IsArray()) {
        for (const auto& value : filter.GetArray()) {
            if (!value.IsString()) return std::nullopt;
            values.emplace_back(value.GetString(), value.GetStringLength());
        }
    } else if (filter.IsObject()) {
        for (const auto& value : filter.GetObject()) {
            if (!value.value.IsBool()) return std::nullopt;
            if (value.value.GetBool()) values.emplace_back(value.name.GetString(), value.name.GetStringLength());
        }
    } else if (!filter.IsNull()) {
        return std::nullopt;
    }
    return values;
}

std::chrono::nanoseconds since_epoch(const DockerEvent& event) {
    return event.time.time_since_epoch();
}

}  // namespace

std::string line_of(const DockerEvent& event) {
    return json_text([&](JsonWriter& writer) {
               writer.StartObject();
               write_member(writer, "Type", "plugin");
               write_member(writer, "Action", event.action);
               write_key(writer, "Actor");
               writer.StartObject();
               write_member(writer, "ID", event.id);
               write_key(writer, "Attributes");
               writer.StartObject();
               write_member(writer, "name", event.name);
               writer.EndObject();
               writer.EndObject();
               write_member(writer, "scope", "local");
               write_key(writer, "time");
               writer.Int64(std::chrono::floor<std::chrono::seconds>(since_epoch(event)).count());
               write_key(writer, "timeNano");
               writer.Int64(since_epoch(event).count());
               writer.EndObject();
           }) +
           "\n";
}

Result<DockerEventFilter> DockerEventFilter::parse(const std::string& text) {
    DockerEventFilter filter;
    const auto document = parse_filters(text);
    if (!document) return fail(document.error().message);
    for (const auto& member : document->GetObject()) {
        const std::string key{member.name.GetString(), member.name.GetStringLength()};
        auto values = values_of(member.value);
        if (!values) return fail("invalid filter '" + key + "': its values must be an array of strings");
        if (!values->empty() && is_known(key)) filter.values_[key] = *std::move(values);
    }
    return filter;
}

bool DockerEventFilter::passes(const DockerEvent& event) const {
    const auto actions = values_.find("event");
    const bool is_long =
        actions != values_.end() && std::any_of(kLongActions.begin(), kLongActions.end(), [&](std::string_view action) {
            return std::find(actions->second.begin(), actions->second.end(), action) != actions->second.end();
        });
    return (is_long ? has_beginning("event", event.action) : has_exactly("event", event.action)) &&
           has_exactly("type", "plugin") && has_exactly("scope", "local") &&
           std::all_of(
               kObjects.begin(), kObjects.end(),
               [&](std::string_view key) { return has_beginning(key, event.id) || has_beginning(key, event.name); }) &&
           has_image(event.id) && has_label(event);
}

bool DockerEventFilter::has_exactly(std::string_view key, std::string_view value) const {
    const auto found = values_.find(key);
    return found == values_.end() ||
           std::find(found->second.begin(), found->second.end(), value) != found->second.end();
}

bool DockerEventFilter::has_beginning(std::string_view key, std::string_view value) const {
    const auto found = values_.find(key);
    return found == values_.end() ||
           std::any_of(found->second.begin(), found->second.end(),
                       [&](const std::string& beginning) { return value.starts_with(beginning); });
}

/// Of a pull, the ID is an image.
bool DockerEventFilter::has_image(const std::string& id) const {
    if (has_exactly("image", id)) return true;
    const auto reference = ImageReference::parse(id);
    return reference && has_exactly("image", reference->familiar_name());
}

/// Labels are attributes, of which plugins' events have one: all of "NAME" and "NAME=VALUE" must be there.
bool DockerEventFilter::has_label(const DockerEvent& event) const {
    const auto found = values_.find("label");
    return found == values_.end() ||
           std::all_of(found->second.begin(), found->second.end(),
                       [&](const std::string& label) { return label == "name" || label == "name=" + event.name; });
}

}  // namespace brokerd
