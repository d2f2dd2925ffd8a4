#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <array>
#include <memory>

#include "cli/command_table.h"
#include "cli/output/format.h"
#include "cli/output/printable.h"
#include "cli/plugin_filter.h"
#include "cli/session.h"

namespace brokerd::cli {
namespace {

constexpr std::array<std::string_view, 7> kFields{"Sequence", "Time",       "Action", "Plugin",
                                                  "Kind",     "Implements", "Detail"};
constexpr std::array<std::string_view, 1> kFilterKeys{"capability"};

struct Flags {
    std::string replay;
    std::vector<std::string> filters;
    std::string format;
};

/// "2026-07-28T12:00:00.000000000Z active mobyfs (VolumeDriver): detail"
std::string event_line(const PluginEvent& event) {
    std::string line = fmt::format("{} {} {}", format_time(event.time), event.action, event.plugin);
    if (!event.implements.empty()) line += fmt::format(" ({})", fmt::join(event.implements, ","));
    if (!event.detail.empty()) line += ": " + event.detail;
    return printable(line) + '\n';
}

Result<ControlClient::EventQuery> query_of(const Flags& flags) {
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    const bool is_count = std::all_of(flags.replay.begin(), flags.replay.end(), is_digit) && flags.replay.size() <= 9;
    if (!is_count && flags.replay != "active") {
        return fail(fmt::format("\"{}\" is nothing to replay; write a number of events, or active", flags.replay));
    }
    const auto filters = parse_filters(flags.filters, kFilterKeys);
    if (!filters) return fail(filters.error());
    if (filters->size() > 1) return fail("events can be filtered by one capability only");
    return ControlClient::EventQuery{filters->empty() ? "" : filters->front().value, flags.replay};
}

ExitStatus run(const Flags& flags, Session& session) {
    const auto query = query_of(flags);
    if (!query) return session.usage_error(query.error().message);
    const auto format = Format::parse(flags.format, kFields);
    if (!format) return session.usage_error(format.error().message);
    if (format->is_table()) return session.usage_error("a stream has no table; leave out \"table\"");

    Output& out = session.out;
    const auto show = [&](const PluginEvent& event) {
        out.write(format->is_default() ? event_line(event) : format->line(to_document(event)));
        return out.flush();
    };
    // Whoever reads our output may leave while nothing happens: the stream then ends without waiting for an event.
    const auto end = session.client().events(*query, show, out.fd());
    return end ? ExitStatus::success : session.failure(end.error());
}

}  // namespace

Run events_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_option("--replay,--since", flags->replay, "active");
    app.add_option("-f,--filter", flags->filters, "capability=")->allow_extra_args(false);
    app.add_option("--format", flags->format, kFormatWords);
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
