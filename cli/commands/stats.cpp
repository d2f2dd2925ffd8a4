#include <CLI/App.hpp>
#include <chrono>
#include <memory>

#include "cli/command_table.h"
#include "cli/output/format.h"
#include "cli/output/screen.h"
#include "cli/session.h"
#include "cli/stats_rows.h"

namespace brokerd::cli {
namespace {

/// Ours: more often says nothing more to a person; less often is what a monitoring system is for.
constexpr double kMinInterval = 0.1, kMaxInterval = 3600;

struct Flags {
    StatsChoice choice;
    bool no_stream = false;
    double interval = 1;
    std::string format;
};

std::string text_of(const std::vector<StatsRow>& rows, const Format& format, const Flags& flags) {
    if (format.is_default()) return stats_table(rows, flags.choice.methods);
    std::vector<rapidjson::Document> objects;
    objects.reserve(rows.size());
    for (const StatsRow& row : rows) objects.push_back(to_document(row));
    return format.lines(objects);
}

ExitStatus run(const Flags& flags, Session& session) {
    using Clock = std::chrono::steady_clock;
    const auto format = Format::parse(flags.format, kStatsFields);
    if (!format) return session.usage_error(format.error().message);
    if (!(flags.interval >= kMinInterval && flags.interval <= kMaxInterval))
        return session.usage_error("the interval must be 0.1 to 3600 seconds");
    const auto interval =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::duration<double>{flags.interval});

    Screen screen{session.out, format->is_default() || format->is_table()};
    std::vector<PluginStats> before;
    for (Clock::time_point last{};;) {
        auto stats = session.client().stats();
        if (!stats) return session.failure(stats.error());
        const auto now = Clock::now();
        if (const auto unknown = unknown_name(*stats, flags.choice)) {
            return session.failure("there is no plugin " + *unknown + "; see: pluginctl ls");
        }
        const std::string text = text_of(stats_rows(*stats, before, now - last, flags.choice), *format, flags);
        if (flags.no_stream) {
            session.out.write(text);
            return ExitStatus::success;
        }
        if (!screen.show(text) || !screen.wait(interval)) return ExitStatus::success;
        before = *std::move(stats);
        last = now;
    }
}

}  // namespace

Run stats_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_option("NAME", flags->choice.names);
    app.add_flag("-a,--all", flags->choice.idle);
    app.add_flag("-m,--methods", flags->choice.methods);
    app.add_flag("--no-stream", flags->no_stream);
    app.add_option("--interval", flags->interval);
    app.add_option("--format", flags->format, kFormatWords);
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
