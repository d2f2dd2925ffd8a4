#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "common/plugin_view.h"
#include "common/result.h"
#include "daemon/control/control_message.h"
#include "daemon/operations/operation_error.h"

/// The one place where failures become HTTP: {"message": "…"}, one sentence that says what failed, why, and what to do.
/// Text that came from outside is escaped here.
namespace brokerd::error_reply {

// The request itself
[[nodiscard]] ControlReply malformed_request(std::string_view why);                         // 400, the connection ends
[[nodiscard]] ControlReply incomplete_request();                                            // 400, the connection ends
[[nodiscard]] ControlReply head_too_large(std::size_t limit);                               // 431, the connection ends
[[nodiscard]] ControlReply body_too_large(std::size_t limit);                               // 413, the connection ends
[[nodiscard]] ControlReply request_too_slow();                                              // 408, the connection ends
[[nodiscard]] ControlReply peer_not_allowed(std::string_view who, std::string_view group);  // 403, the connection ends
/// For what JobBody tells. 400, and the connection ends
[[nodiscard]] ControlReply incomplete_body(const Error& problem);
[[nodiscard]] ControlReply bad_parameter(std::string_view parameter, std::string_view value,
                                         std::string_view expected);  // 400
/// Docker's words for it.
[[nodiscard]] ControlReply end_before_start(std::string_view since, std::string_view until);  // 400
[[nodiscard]] ControlReply bad_plugin_name(std::string_view why);                             // 400
[[nodiscard]] ControlReply bad_method_name(std::string_view method);                          // 400
/// Docker's words for a path that its API does not have.
[[nodiscard]] ControlReply page_not_found();  // 404
/// Another part of Docker's API than the one for plugins.
[[nodiscard]] ControlReply not_an_engine(std::string_view method, std::string_view path);  // 501
[[nodiscard]] ControlReply no_such_route(std::string_view method, std::string_view path);  // 404
[[nodiscard]] ControlReply method_not_allowed(std::string_view method, std::string_view path,
                                              std::string_view allowed);  // 405
/// Docker's words: its clients and their users know them.
[[nodiscard]] ControlReply api_too_old(std::string_view version, std::string_view oldest);  // 400
[[nodiscard]] ControlReply api_too_new(std::string_view version, std::string_view newest);  // 400

// Plugins
[[nodiscard]] ControlReply plugin_not_found(std::string_view name);                                              // 404
[[nodiscard]] ControlReply lacks_capability(const PluginView& plugin, std::string_view capability);              // 409
[[nodiscard]] ControlReply plugin_not_active(const PluginView& plugin);                                          // 503
[[nodiscard]] ControlReply plugin_not_published(const PluginView& plugin);                                       // 503
[[nodiscard]] ControlReply call_failed(std::string_view plugin, std::string_view method, std::string_view why);  // 502

// Managed plugins
[[nodiscard]] ControlReply operation_failed(const OperationError& error);  // by its kind
[[nodiscard]] ControlReply plugin_disabled(const PluginView& plugin);      // 409
[[nodiscard]] ControlReply logs_kept_elsewhere(std::string_view plugin);   // 409
[[nodiscard]] ControlReply too_many_log_followers(std::size_t limit);      // 503
[[nodiscard]] ControlReply too_many_leases(const Error& problem);          // 503

// brokerd
[[nodiscard]] ControlReply too_many_jobs(std::size_t limit);      // 503
[[nodiscard]] ControlReply too_many_watchers(std::size_t limit);  // 503
[[nodiscard]] ControlReply too_much_unread(std::size_t limit);    // 503
// The same of one user, who has as many as its share of `limit` is. 503
[[nodiscard]] ControlReply too_many_jobs_of_user(uid_t user, std::size_t count, std::size_t limit);
[[nodiscard]] ControlReply too_many_watchers_of_user(uid_t user, std::size_t count, std::size_t limit);
[[nodiscard]] ControlReply no_answer_in_time(std::chrono::milliseconds waited);  // 503
[[nodiscard]] ControlReply internal_error(std::string_view why);                 // 500

}  // namespace brokerd::error_reply
