#include "common/log_client.h"

#include <fmt/format.h>

#include "common/control_exchange.h"
#include "common/protocol/control_api.h"

namespace brokerd {
namespace {

/// Ours: the journal of a busy host may be searched for some time before the first line is found.
constexpr std::chrono::seconds kAnswerTime{60};
/// A message has 16 KiB; written in JSON, six times as much at most.
constexpr std::size_t kMaxLineBytes = std::size_t{1} << 20;

std::string target_of(std::string_view plugin, const LogClient::Query& query) {
    std::string target = fmt::format("{}/{}/logs?follow={}", control_api::kPlugins, percent_encoded_path(plugin),
                                     query.follow ? "true" : "false");
    if (!query.tail.empty()) target += "&tail=" + percent_encoded_value(query.tail);
    if (!query.since.empty()) target += "&since=" + percent_encoded_value(query.since);
    return target;
}

}  // namespace

Result<int, ClientError> LogClient::read(std::string_view plugin, const Query& query, const Handler& handler,
                                         int hangup_fd) const {
    JsonLines lines{handler};
    const UnixHttp::Receiver receive = [&](std::string& body) { return lines(body); };
    const auto end =
        http_.stream({"GET", target_of(plugin, query), {}}, {kAnswerTime, kMaxLineBytes}, receive, {hangup_fd, -1});
    if (!end) return fail(to_client_error(end.error(), http_.host().str()));
    if (lines.saw_nonsense()) return fail(malformed(http_.host().str(), "a line that is not a JSON object"));
    if (end->stopped_here) return 0;
    if (!end->reply.good()) return fail(refused(end->reply));
    return 0;
}

}  // namespace brokerd
