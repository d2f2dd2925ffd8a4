#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/json.h"
#include "common/plugin_stats.h"
#include "common/plugin_view.h"
#include "common/protocol/control_api.h"
#include "daemon/control/control_message.h"

namespace brokerd {

/// 200 with `value` as JSON.
template <class T>
[[nodiscard]] ControlReply json_reply(const T& value) {
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    write_json(writer, value);
    return {200, std::string{control_api::kJson}, {buffer.GetString(), buffer.GetSize()}, {}};
}

/// 200 with {"`member`": [`values`…]}.
template <class T>
[[nodiscard]] ControlReply json_list_reply(std::string_view member, const std::vector<T>& values) {
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    writer.StartObject();
    write_key(writer, member);
    writer.StartArray();
    for (const T& value : values) write_json(writer, value);
    writer.EndArray();
    writer.EndObject();
    return {200, std::string{control_api::kJson}, {buffer.GetString(), buffer.GetSize()}, {}};
}

}  // namespace brokerd
