#include <algorithm>
#include <charconv>

#include "common/json.h"
#include "common/plugin_view.h"
#include "common/protocol/control_api.h"
#include "daemon/control/error_reply.h"
#include "daemon/control/handlers.h"
#include "daemon/control/operation_reply.h"
#include "daemon/logs/since.h"

namespace brokerd {
namespace {

std::string json_line(const LogLine& line) {
    return json_text([&](JsonWriter& writer) {
               writer.StartObject();
               write_member(writer, "Time", format_time(line.time));
               write_member(writer, "Stream", line.stream);
               write_member(writer, "Message", line.message);
               if (line.partial) {
                   write_key(writer, "Partial");
                   writer.Bool(true);
               }
               writer.EndObject();
           }) +
           '\n';
}

/// Docker's way with flags: anything but these means true.
bool is_true(const std::optional<std::string>& text) {
    return text && !text->empty() && *text != "0" && *text != "no" && *text != "false" && *text != "none";
}

/// What the parameters ask for, or nothing once the exchange has been told what is wrong with them.
std::optional<LogQuery> read_query(const RoutedRequest& request, const Exchange& exchange) {
    LogQuery query;
    query.follow = is_true(request.parameter("follow"));
    if (const auto tail = request.parameter("tail"); tail && *tail != "all" && !tail->empty()) {
        std::size_t count = 0;
        const auto [end, problem] = std::from_chars(tail->data(), tail->data() + tail->size(), count);
        if (problem != std::errc{} || end != tail->data() + tail->size()) {
            exchange.reply(error_reply::bad_parameter("tail", *tail, "a number of lines, or all"));
            return std::nullopt;
        }
        query.tail = count;
    }
    if (const auto since = request.parameter("since"); since && !since->empty()) {
        query.since = parse_since(*since, std::chrono::system_clock::now());
        if (!query.since) {
            exchange.reply(error_reply::bad_parameter(
                "since", *since, "a time as 2026-07-28T12:00:00Z, seconds since 1970, or how long ago as 10m"));
            return std::nullopt;
        }
    }
    return query;
}

void send_lines(const PluginLogs& logs, const std::string& id, const LogQuery& query, Job& job) {
    // Who follows is told at once that it does; for others an error can still become the answer.
    if (query.follow && !job.reply.start(200, control_api::kNdjson)) return;
    const auto problem = logs.read(id, query, job.cancelled(), [&](const LogLine& line) {
        if (!job.reply.started() && !job.reply.start(200, control_api::kNdjson)) return false;
        return job.reply.write(json_line(line));
    });
    // A follower's stream is whole once the plugin has been removed; where brokerd stops it breaks off.
    if (job.is_cancelled()) return;
    if (problem) return job.reply.fail_with(error_reply::operation_failed({OperationError::Kind::storage, *problem}));
    if (!job.reply.started() && !job.reply.start(200, control_api::kNdjson)) return;
    job.reply.finish();
}

}  // namespace

void show_plugin_logs(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    const auto query = read_query(request, exchange);
    if (!query) return;
    const std::string& name = request.path.find("name")->second;
    // A legacy plugin is known to the core only; an installed one of the same name comes first.
    rooms.core.ask(exchange, [&operations = rooms.operations, exchange, name, query = *query](PluginQueries& core) {
        const auto known = core.find(name);
        const bool is_legacy = known && known->kind == "legacy";
        operations.plugins.post([&logs = operations.logs, exchange, name, query, is_legacy](const PluginStore& store) {
            const auto plugin = store.find(name);
            if (!plugin && is_legacy) return exchange.reply(error_reply::logs_kept_elsewhere(name));
            if (!plugin) return exchange.reply(error_reply::operation_failed(operation_error(plugin.error())));
            const auto place = query.follow ? logs.begin_following() : nullptr;
            if (query.follow && !place) {
                return exchange.reply(error_reply::too_many_log_followers(PluginLogs::kMaxFollowers));
            }
            exchange.start_job(
                [&logs, place, id = (*plugin)->id, query](Job& job) { send_lines(logs, id, query, job); });
        });
    });
}

}  // namespace brokerd
