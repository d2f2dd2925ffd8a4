#include <chrono>

#include "daemon/control/api_version.h"
#include "daemon/control/handlers.h"
#include "daemon/control/host_facts.h"
#include "daemon/control/json_reply.h"

namespace brokerd {
namespace {

/// Ours: a core loop that takes longer than this for a single step is stuck.
constexpr std::chrono::milliseconds kHealthTimeout{5'000};

/// Twice in an answer: docker of today reads the component's, older clients the other ones.
void write_version(JsonWriter& writer, const HostFacts& host) {
    write_member(writer, "ApiVersion", api_version::kNewest);
    write_member(writer, "MinAPIVersion", api_version::kOldest);
    write_member(writer, "Os", "linux");
    write_member(writer, "Arch", go_architecture(host.machine));
    write_member(writer, "KernelVersion", host.kernel);
    for (const char* key : {"GitCommit", "GoVersion", "BuildTime"}) write_member(writer, key, "");
}

std::string version_json() {
    const HostFacts host = host_facts();
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    writer.StartObject();
    writer.Key("Platform");
    writer.StartObject();
    write_member(writer, "Name", "brokerd");
    writer.EndObject();
    writer.Key("Components");
    writer.StartArray();
    writer.StartObject();
    // docker makes up a component of this name where there is none.
    write_member(writer, "Name", "Engine");
    write_member(writer, "Version", BROKERD_VERSION);
    write_key(writer, "Details");
    writer.StartObject();
    write_version(writer, host);
    write_member(writer, "Experimental", "false");
    writer.EndObject();
    writer.EndObject();
    writer.EndArray();
    write_member(writer, "Version", BROKERD_VERSION);
    write_version(writer, host);
    writer.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

}  // namespace

void check_health(const ControlRooms& rooms, const RoutedRequest&, const Exchange& exchange) {
    rooms.server.expect_reply_within(exchange, kHealthTimeout);
    rooms.core.ask(exchange, [exchange](PluginQueries&) {
        exchange.reply({200, std::string{control_api::kJson}, R"({"Status":"ok"})", {}});
    });
}

void ping(const ControlRooms&, const RoutedRequest&, const Exchange& exchange) {
    // Docker Engine API, "Ping": clients negotiate the version from these headers.
    exchange.reply({200,
                    "text/plain; charset=utf-8",
                    "OK",
                    {{"Api-Version", std::string{api_version::kNewest}},
                     {"Docker-Experimental", "false"},
                     {"OSType", "linux"},
                     {"Swarm", "inactive"},
                     {"Cache-Control", "no-cache, no-store, must-revalidate"},
                     {"Pragma", "no-cache"}}});
}

void show_version(const ControlRooms&, const RoutedRequest&, const Exchange& exchange) {
    exchange.reply({200, std::string{control_api::kJson}, version_json(), {}});
}

}  // namespace brokerd
