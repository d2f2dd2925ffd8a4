#include "daemon/control/json_progress.h"

#include "common/protocol/control_api.h"
#include "daemon/control/error_reply.h"

namespace brokerd {
namespace {

/// Ours: often enough for a bar that moves, seldom enough to cost nothing.
constexpr std::chrono::milliseconds kPause{100};

/// One object a line.
template <class Write>
std::string line(Write write) {
    return json_text([&](JsonWriter& writer) {
               writer.StartObject();
               write(writer);
               writer.EndObject();
           }) +
           "\r\n";
}

}  // namespace

void JsonProgress::tell(std::string_view id, std::string_view status) {
    const std::lock_guard lock{mutex_};
    send(line([&](JsonWriter& writer) {
        write_member(writer, "status", status);
        if (!id.empty()) write_member(writer, "id", id);
    }));
}

void JsonProgress::advance(std::string_view id, std::string_view action, std::uint64_t done, std::uint64_t total) {
    const std::lock_guard lock{mutex_};
    const auto now = Clock::now();
    auto last = advanced_.find(id);
    if (last == advanced_.end()) last = advanced_.emplace(id, Clock::time_point{}).first;
    if (now - last->second < kPause) return;
    last->second = now;
    send(line([&](JsonWriter& writer) {
        write_member(writer, "status", action);
        write_key(writer, "progressDetail");
        writer.StartObject();
        write_key(writer, "current");
        writer.Uint64(done);
        if (total != 0) {
            write_key(writer, "total");
            writer.Uint64(total);
        }
        writer.EndObject();
        write_member(writer, "id", id);
    }));
}

void JsonProgress::aux(std::string_view value) {
    const std::lock_guard lock{mutex_};
    send(line([&](JsonWriter& writer) {
        write_key(writer, "aux");
        writer.RawValue(value.data(), value.size(), rapidjson::kObjectType);
    }));
}

void JsonProgress::finish() {
    const std::lock_guard lock{mutex_};
    start();
    reply_.finish();
}

void JsonProgress::finish(const OperationError& error) {
    const std::lock_guard lock{mutex_};
    if (!reply_.started()) return reply_.reply(error_reply::operation_failed(error));
    send(line([&](JsonWriter& writer) {
        write_key(writer, "errorDetail");
        writer.StartObject();
        write_member(writer, "message", error.message);
        writer.EndObject();
        write_member(writer, "error", error.message);
    }));
    reply_.finish();
}

void JsonProgress::start() {
    if (!reply_.started()) reply_.start(200, control_api::kJson, headers_);
}

void JsonProgress::send(std::string_view text) {
    start();
    reply_.write(text);  // that the client has gone is told by the job's cancellation
}

}  // namespace brokerd
