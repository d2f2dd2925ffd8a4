#include "common/plugin_stats.h"

namespace brokerd {
namespace {

using std::chrono::nanoseconds;

void write_number(JsonWriter& writer, std::string_view key, std::uint64_t value) {
    write_key(writer, key);
    writer.Uint64(value);
}

void write_duration(JsonWriter& writer, std::string_view key, nanoseconds value) {
    write_key(writer, key);
    writer.Int64(value.count());
}

std::uint64_t number_member(const rapidjson::Value& object, const char* key) {
    const auto found = object.FindMember(key);
    return found != object.MemberEnd() && found->value.IsUint64() ? found->value.GetUint64() : 0;
}

nanoseconds duration_member(const rapidjson::Value& object, const char* key) {
    const auto found = object.FindMember(key);
    const bool is_duration = found != object.MemberEnd() && found->value.IsInt64() && found->value.GetInt64() >= 0;
    return nanoseconds{is_duration ? found->value.GetInt64() : 0};
}

CallStats call_stats_from_json(const rapidjson::Value& value) {
    CallStats stats;
    stats.calls = number_member(value, "Calls");
    stats.plugin_errors = number_member(value, "PluginErrors");
    stats.broker_errors = number_member(value, "BrokerErrors");
    stats.client_gone = number_member(value, "ClientGone");
    stats.in_flight = number_member(value, "InFlight");
    stats.request_bytes = number_member(value, "RequestBytes");
    stats.answer_bytes = number_member(value, "AnswerBytes");
    stats.p50 = duration_member(value, "P50");
    stats.p90 = duration_member(value, "P90");
    stats.p99 = duration_member(value, "P99");
    stats.max = duration_member(value, "Max");
    return stats;
}

}  // namespace

void write_members(JsonWriter& writer, const CallStats& stats) {
    write_number(writer, "Calls", stats.calls);
    write_number(writer, "PluginErrors", stats.plugin_errors);
    write_number(writer, "BrokerErrors", stats.broker_errors);
    write_number(writer, "ClientGone", stats.client_gone);
    write_number(writer, "InFlight", stats.in_flight);
    write_number(writer, "RequestBytes", stats.request_bytes);
    write_number(writer, "AnswerBytes", stats.answer_bytes);
    write_duration(writer, "P50", stats.p50);
    write_duration(writer, "P90", stats.p90);
    write_duration(writer, "P99", stats.p99);
    write_duration(writer, "Max", stats.max);
}

void write_json(JsonWriter& writer, const PluginStats& stats) {
    writer.StartObject();
    write_member(writer, "Name", stats.name);
    write_member(writer, "Kind", stats.kind);
    write_member(writer, "State", stats.state);
    write_number(writer, "Connections", stats.connections);
    write_members(writer, stats.total);
    write_key(writer, "Methods");
    writer.StartArray();
    for (const MethodStats& method : stats.methods) {
        writer.StartObject();
        write_member(writer, "Name", method.name);
        write_members(writer, method.stats);
        writer.EndObject();
    }
    writer.EndArray();
    writer.EndObject();
}

PluginStats plugin_stats_from_json(const rapidjson::Value& value) {
    PluginStats stats;
    if (!value.IsObject()) return stats;
    stats.name = string_member(value, "Name");
    stats.kind = string_member(value, "Kind");
    stats.state = string_member(value, "State");
    stats.connections = number_member(value, "Connections");
    stats.total = call_stats_from_json(value);
    const auto methods = value.FindMember("Methods");
    if (methods == value.MemberEnd() || !methods->value.IsArray()) return stats;
    for (const auto& method : methods->value.GetArray()) {
        if (method.IsObject()) stats.methods.push_back({string_member(method, "Name"), call_stats_from_json(method)});
    }
    return stats;
}

}  // namespace brokerd
