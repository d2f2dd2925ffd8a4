#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "common/json.h"
#include "common/protocol/control_api.h"
#include "daemon/control/error_reply.h"
#include "daemon/control/request_bodies.h"
#include "daemon/control/routes.h"
#include "daemon/operations/install.h"
#include "daemon/operations/rooms.h"

/// What the handlers of operations on managed plugins share.
namespace brokerd {

/// What `write` writes, as an answer.
template <class Write>
[[nodiscard]] ControlReply write_reply(Write write, unsigned status = 200) {
    return {status, std::string{control_api::kJson}, json_text(std::move(write)) + "\n", {}};
}

/// Runs a short operation (one that waits for nothing but the disk) on a worker thread, and answers with what `format`
/// makes of its result, or with its error.
template <class Operation, class Format>
void run_operation(const ControlRooms& rooms, const Exchange& exchange, Operation operation, Format format) {
    /// Ours: deleting a large plugin from a slow disk takes long, and goes on whether or not somebody waits for it.
    constexpr std::chrono::minutes kLongest{10};
    rooms.server.expect_reply_within(exchange, kLongest);
    rooms.operators.submit([exchange, operation = std::move(operation), format = std::move(format)](int) {
        try {
            const auto result = operation();
            exchange.reply(result ? format(*result) : error_reply::operation_failed(result.error()));
        } catch (const std::exception& error) {
            exchange.reply(error_reply::internal_error(error.what()));
        }
    });
}

/// Answers with what `write` writes of the installed plugin that the path names.
template <class Write>
void reply_from_record(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange, Write write) {
    rooms.operations.plugins.post(
        [exchange, name = request.path.find("name")->second, write](const PluginStore& store) {
            auto found = store.find(name);
            if (!found) {
                return exchange.reply(error_reply::operation_failed(operation_error(found.error())));
            }
            exchange.reply_with([record = *std::move(found), write] {
                return write_reply([&](JsonWriter& writer) { write(writer, *record); });
            });
        });
}

}  // namespace brokerd
