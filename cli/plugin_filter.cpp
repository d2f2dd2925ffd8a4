#include "cli/plugin_filter.h"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <array>

namespace brokerd::cli {
namespace {

constexpr std::array<std::string_view, 5> kKeys{"capability", "enabled", "kind", "name", "state"};
constexpr std::array<std::string_view, 2> kKinds{"legacy", "managed"};
constexpr std::array<std::string_view, 11> kStates{"discovered", "activating", "active",    "failed",
                                                   "invalid",    "disabled",   "starting",  "running",
                                                   "unhealthy",  "stopping",   "restarting"};
constexpr std::array<std::string_view, 2> kTruth{"true", "false"};

/// A value that no plugin can have is a slip of the hand, and an empty list would hide it.
Result<FilterTerm> check_value(FilterTerm term) {
    const auto require = [&](std::span<const std::string_view> values) -> Result<FilterTerm> {
        if (std::find(values.begin(), values.end(), term.value) != values.end()) return std::move(term);
        return fail(
            fmt::format("there is no {} \"{}\"; it is one of: {}", term.key, term.value, fmt::join(values, ", ")));
    };
    if (term.key == "kind") return require(kKinds);
    if (term.key == "state") return require(kStates);
    if (term.key == "enabled") return require(kTruth);
    return term;
}

bool satisfies(const PluginView& plugin, const FilterTerm& term) {
    if (term.key == "name") return plugin.name.find(term.value) != std::string::npos;
    if (term.key == "kind") return plugin.kind == term.value;
    if (term.key == "state") return plugin.state == term.value;
    if (term.key == "enabled") return plugin.enabled && *plugin.enabled == (term.value == "true");
    return std::any_of(plugin.implements.begin(), plugin.implements.end(), [&](const std::string& capability) {
        return ::strcasecmp(capability.c_str(), term.value.c_str()) == 0;
    });
}

}  // namespace

Result<std::vector<FilterTerm>> parse_filters(std::span<const std::string> terms,
                                              std::span<const std::string_view> keys) {
    std::vector<FilterTerm> out;
    for (const std::string& term : terms) {
        const std::size_t equals = std::min(term.find('='), term.size());
        const std::string key = term.substr(0, equals);
        if (equals + 1 >= term.size() || std::find(keys.begin(), keys.end(), key) == keys.end()) {
            return fail(fmt::format("\"{}\" is not a filter; write KEY=VALUE with one of the keys: {}", term,
                                    fmt::join(keys, ", ")));
        }
        out.push_back({key, term.substr(equals + 1)});
    }
    return out;
}

Result<PluginFilter> PluginFilter::parse(std::span<const std::string> terms) {
    auto parsed = parse_filters(terms, kKeys);
    if (!parsed) return fail(parsed.error());
    PluginFilter filter;
    for (FilterTerm& term : *parsed) {
        auto checked = check_value(std::move(term));
        if (!checked) return fail(checked.error());
        filter.terms_.push_back(std::move(*checked));
    }
    return filter;
}

std::string PluginFilter::words() {
    std::string out = "capability= name=";
    const auto add = [&](std::string_view key, std::span<const std::string_view> values) {
        for (const std::string_view value : values) out += fmt::format(" {}={}", key, value);
    };
    add("enabled", kTruth);
    add("kind", kKinds);
    add("state", kStates);
    return out;
}

bool PluginFilter::matches(const PluginView& plugin) const {
    return std::all_of(kKeys.begin(), kKeys.end(), [&](std::string_view key) {
        bool asked = false;
        for (const FilterTerm& term : terms_) {
            if (term.key != key) continue;
            if (satisfies(plugin, term)) return true;
            asked = true;
        }
        return !asked;
    });
}

}  // namespace brokerd::cli
