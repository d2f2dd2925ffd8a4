#include <sys/utsname.h>

#include <chrono>

#include "daemon/control/api_version.h"
#include "daemon/control/handlers.h"
#include "daemon/control/json_reply.h"

namespace brokerd {
namespace {

/// Ours: a core loop that takes longer than this for a single step is stuck.
constexpr std::chrono::milliseconds kHealthTimeout{5'000};

/// Docker writes architectures as Go does.
std::string_view architecture(std::string_view machine) {
    if (machine == "x86_64") return "amd64";
    if (machine == "aarch64") return "arm64";
    return machine;
}

std::string version_json() {
    utsname system{};
    ::uname(&system);
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
    write_member(writer, "Name", "brokerd");
    write_member(writer, "Version", BROKERD_VERSION);
    writer.EndObject();
    writer.EndArray();
    write_member(writer, "Version", BROKERD_VERSION);
    write_member(writer, "ApiVersion", api_version::kNewest);
    write_member(writer, "MinAPIVersion", api_version::kOldest);
    write_member(writer, "Os", "linux");
    write_member(writer, "Arch", architecture(system.machine));
    write_member(writer, "KernelVersion", system.release);
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
                     {"Cache-Control", "no-cache, no-store, must-revalidate"}}});
}

void show_version(const ControlRooms&, const RoutedRequest&, const Exchange& exchange) {
    exchange.reply({200, std::string{control_api::kJson}, version_json(), {}});
}

}  // namespace brokerd
