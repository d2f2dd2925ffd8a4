#include "cli/stats_rows.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/output/printable.h"
#include "cli/output/table.h"
#include "cli/output/units.h"
#include "common/plugin_view.h"

namespace brokerd::cli {
namespace {

template <class Item>
const Item* find_named(const std::vector<Item>& items, const std::string& name) {
    const auto found = std::find_if(items.begin(), items.end(), [&](const Item& item) { return item.name == name; });
    return found == items.end() ? nullptr : &*found;
}

bool is_wanted(const PluginStats& plugin, const StatsChoice& choice) {
    if (!choice.names.empty())
        return std::find(choice.names.begin(), choice.names.end(), plugin.name) != choice.names.end();
    return choice.idle || is_in_service(plugin.state) || plugin.total.calls > 0 || plugin.total.in_flight > 0;
}

/// What was not there before has begun at zero; so has what counts from the start again.
double rate(const CallStats& now, const CallStats* before, double seconds) {
    const std::uint64_t earlier = before != nullptr && before->calls <= now.calls ? before->calls : 0;
    return seconds > 0 ? static_cast<double>(now.calls - earlier) / seconds : 0;
}

void write_number(JsonWriter& writer, std::string_view key, std::uint64_t value) {
    write_key(writer, key);
    writer.Uint64(value);
}

}  // namespace

std::vector<StatsRow> stats_rows(const std::vector<PluginStats>& now, const std::vector<PluginStats>& before,
                                 std::chrono::duration<double> elapsed, const StatsChoice& choice) {
    std::vector<StatsRow> rows;
    const auto add = [&](const PluginStats& plugin, const std::string& method, const CallStats& stats,
                         const CallStats* earlier) {
        StatsRow row{plugin.name, method, plugin.state, plugin.connections, stats, std::nullopt};
        if (!before.empty()) row.calls_per_second = rate(stats, earlier, elapsed.count());
        rows.push_back(std::move(row));
    };
    for (const PluginStats& plugin : now) {
        if (!is_wanted(plugin, choice)) continue;
        const PluginStats* const earlier = find_named(before, plugin.name);
        if (!choice.methods) {
            add(plugin, "", plugin.total, earlier == nullptr ? nullptr : &earlier->total);
            continue;
        }
        for (const MethodStats& method : plugin.methods) {
            const MethodStats* const same = earlier == nullptr ? nullptr : find_named(earlier->methods, method.name);
            add(plugin, method.name, method.stats, same == nullptr ? nullptr : &same->stats);
        }
    }
    return rows;
}

std::optional<std::string> unknown_name(const std::vector<PluginStats>& stats, const StatsChoice& choice) {
    for (const std::string& name : choice.names) {
        if (find_named(stats, name) == nullptr) return name;
    }
    return std::nullopt;
}

void write_json(JsonWriter& writer, const StatsRow& row) {
    writer.StartObject();
    write_member(writer, "Plugin", row.plugin);
    write_member(writer, "Method", row.method);
    write_member(writer, "State", row.state);
    write_number(writer, "Connections", row.connections);
    write_members(writer, row.stats);
    write_number(writer, "Errors", row.stats.errors());
    write_key(writer, "CallsPerSecond");
    if (row.calls_per_second) {
        writer.Double(*row.calls_per_second);
    } else {
        writer.Null();
    }
    writer.EndObject();
}

std::string stats_table(const std::vector<StatsRow>& rows, bool methods) {
    std::vector<std::vector<std::string>> table{
        {"PLUGIN", "CALLS", "CALLS/S", "ERRORS", "IN FLIGHT", "P50", "P90", "P99", "MAX", "BYTES IN/OUT"}};
    if (methods) table.front().insert(table.front().begin() + 1, "METHOD");
    for (const StatsRow& row : rows) {
        const CallStats& stats = row.stats;
        std::vector<std::string> line{
            printable(row.plugin),
            fmt::format("{}", stats.calls),
            row.calls_per_second ? human_rate(*row.calls_per_second) : "-",
            fmt::format("{}", stats.errors()),
            fmt::format("{}", stats.in_flight),
            human_duration(stats.p50),
            human_duration(stats.p90),
            human_duration(stats.p99),
            human_duration(stats.max),
            fmt::format("{} / {}", human_bytes(stats.request_bytes), human_bytes(stats.answer_bytes))};
        if (methods) line.insert(line.begin() + 1, printable(row.method));
        table.push_back(std::move(line));
    }
    return aligned(table);
}

}  // namespace brokerd::cli
