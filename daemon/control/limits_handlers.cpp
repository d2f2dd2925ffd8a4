#include "common/json_members.h"
#include "daemon/control/handlers.h"
#include "daemon/control/operation_reply.h"
#include "daemon/operations/configure.h"

/// Limits of managed plugins, which Docker's API has no words for.
namespace brokerd {
namespace {

/// The body: {"Memory": bytes, "NanoCpus": n, "Pids": n, "Settings": ["K=V", …]}, each of them optional.
struct LimitsRequest {
    LimitsChange limits;
    std::vector<std::string> settings;
};

Result<LimitsRequest> read_limits_request(const std::string& body) {
    const auto document = parse_json(body);
    if (!document || !document->IsObject()) return fail("the body must be a JSON object");
    auto limits = read_limits(*document);
    if (!limits) return fail(limits.error());
    LimitsRequest request{*limits, {}};
    const rapidjson::Value* settings = member(*document, "Settings");
    if (settings == nullptr || settings->IsNull()) return request;
    auto texts = read_strings(*settings);
    if (!texts) return fail("\"Settings\" must be an array of strings");
    request.settings = *std::move(texts);
    return request;
}

}  // namespace

void set_plugin_limits(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    auto asked = read_limits_request(request.request.body);
    if (!asked) {
        return exchange.reply(error_reply::operation_failed({OperationError::Kind::invalid, asked.error().message}));
    }
    run_operation(
        rooms, exchange,
        [&operations = rooms.operations, name = request.path.find("name")->second, asked = *std::move(asked)] {
            return configure_plugin(operations, name, asked.settings, asked.limits);
        },
        [](const PluginRecordPtr&) {
            return ControlReply{204, {}, {}, {}};
        });
}

}  // namespace brokerd
