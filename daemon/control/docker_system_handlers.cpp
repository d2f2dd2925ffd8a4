#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/json_members.h"
#include "daemon/control/handlers.h"
#include "daemon/control/host_facts.h"
#include "daemon/control/operation_reply.h"
#include "daemon/logs/since.h"

/// Docker's Engine API, "System": what its clients ask before and beside plugins.
namespace brokerd {
namespace {

using Names = std::vector<std::string>;

/// In service now, by the kinds that Docker tells apart.
struct ActivePlugins {
    Names volume, network, authorization, log;
};

ActivePlugins active_plugins(const std::vector<PluginView>& plugins) {
    ActivePlugins active;
    for (const PluginView& plugin : plugins) {
        if (!plugin.in_service()) continue;
        for (const std::string& capability : plugin.implements) {
            if (capability == "VolumeDriver") active.volume.push_back(plugin.name);
            if (capability == "NetworkDriver") active.network.push_back(plugin.name);
            if (capability == "authz") active.authorization.push_back(plugin.name);
            if (capability == "LogDriver") active.log.push_back(plugin.name);
        }
    }
    return active;
}

void write_list(JsonWriter& writer, std::string_view key, const Names& names) {
    write_key(writer, key);
    write_strings(writer, names);
}

void write_number(JsonWriter& writer, std::string_view key, std::uint64_t number) {
    write_key(writer, key);
    writer.Uint64(number);
}

void write_flag(JsonWriter& writer, std::string_view key, bool value) {
    write_key(writer, key);
    writer.Bool(value);
}

void write_plugins(JsonWriter& writer, const ActivePlugins& active) {
    write_key(writer, "Plugins");
    writer.StartObject();
    write_list(writer, "Volume", active.volume);
    write_list(writer, "Network", active.network);
    write_list(writer, "Authorization", active.authorization);
    write_list(writer, "Log", active.log);
    writer.EndObject();
}

void write_host(JsonWriter& writer, const HostFacts& host) {
    write_member(writer, "ID", host.id);
    write_member(writer, "Name", host.name);
    write_member(writer, "KernelVersion", host.kernel);
    write_member(writer, "OperatingSystem", host.operating_system);
    write_member(writer, "OSVersion", host.system_version);
    write_member(writer, "OSType", "linux");
    write_member(writer, "Architecture", host.machine);
    write_number(writer, "NCPU", static_cast<std::uint64_t>(host.processors));
    write_number(writer, "MemTotal", host.memory);
    write_member(writer, "SystemTime", format_time(std::chrono::system_clock::now()));
}

void write_runtime(JsonWriter& writer, const std::string& runtime) {
    const std::string name = std::filesystem::path{runtime}.filename();
    write_key(writer, "Runtimes");
    writer.StartObject();
    write_key(writer, name);
    writer.StartObject();
    write_member(writer, "path", runtime);
    writer.EndObject();
    writer.EndObject();
    write_member(writer, "DefaultRuntime", name);
}

void write_registries(JsonWriter& writer, const RegistrySettings& registries) {
    write_key(writer, "RegistryConfig");
    writer.StartObject();
    Names networks, hosts;
    for (const std::string& insecure : registries.insecure_hosts)
        (insecure.find('/') == insecure.npos ? hosts : networks).push_back(insecure);
    write_list(writer, "InsecureRegistryCIDRs", networks);
    write_key(writer, "IndexConfigs");
    writer.StartObject();
    for (const std::string& host : hosts) {
        write_key(writer, host);
        writer.StartObject();
        write_member(writer, "Name", host);
        write_list(writer, "Mirrors", {});
        write_flag(writer, "Secure", false);
        write_flag(writer, "Official", false);
        writer.EndObject();
    }
    writer.EndObject();
    write_list(writer, "Mirrors", registries.mirrors);
    writer.EndObject();
}

/// What brokerd has none of. Docker's clients take what is missing for 0, but scripts print it as "<no value>".
void write_absent(JsonWriter& writer) {
    for (const char* key : {"Containers", "ContainersRunning", "ContainersPaused", "ContainersStopped", "Images", "NFd",
                            "NGoroutines", "NEventsListener"})
        write_number(writer, key, 0);
    for (const char* key : {"MemoryLimit", "SwapLimit", "CpuCfsPeriod", "CpuCfsQuota", "CPUShares", "CPUSet",
                            "PidsLimit", "IPv4Forwarding", "OomKillDisable", "Debug", "ExperimentalBuild"})
        write_flag(writer, key, false);
    for (const char* key : {"Driver", "LoggingDriver", "CgroupDriver", "IndexServerAddress", "HttpProxy", "HttpsProxy",
                            "NoProxy", "Isolation", "InitBinary"})
        write_member(writer, key, "");
    for (const char* key : {"DriverStatus", "Labels", "SecurityOptions"}) write_list(writer, key, {});
    for (const char* key : {"ContainerdCommit", "RuncCommit", "InitCommit"}) {
        write_key(writer, key);
        writer.StartObject();
        write_member(writer, "ID", "");
        writer.EndObject();
    }
    write_key(writer, "Swarm");
    writer.StartObject();
    write_member(writer, "NodeID", "");
    write_member(writer, "LocalNodeState", "inactive");
    write_flag(writer, "ControlAvailable", false);
    writer.EndObject();
}

ControlReply info(const ActivePlugins& active, const BrokerFacts& broker, const RegistrySettings& registries) {
    return write_reply([&](JsonWriter& writer) {
        writer.StartObject();
        write_host(writer, host_facts());
        write_member(writer, "ServerVersion", BROKERD_VERSION);
        write_member(writer, "DockerRootDir", broker.state_root);
        write_flag(writer, "LiveRestoreEnabled", broker.live_restore);
        write_plugins(writer, active);
        write_runtime(writer, broker.oci_runtime);
        write_registries(writer, registries);
        write_absent(writer);
        // Where there is none, docker makes up warnings about what is false above.
        write_list(
            writer, "Warnings",
            {"WARNING: this is brokerd, which serves plugins only. Containers, images, networks and volumes are a "
             "Docker engine's."});
        writer.EndObject();
    });
}

/// Nothing where it is not given. As in Docker, 0 is a time: the beginning of 1970. False where it is none.
bool read_time(const RoutedRequest& request, const char* name,
               std::optional<std::chrono::system_clock::time_point>& time) {
    const std::string text = request.parameter(name).value_or("");
    if (text.empty()) return true;
    time = parse_since(text, std::chrono::system_clock::now());
    return time.has_value();
}

ControlReply bad_time(const RoutedRequest& request, const char* name) {
    return error_reply::bad_parameter(name, request.parameter(name).value_or(""),
                                      "seconds since 1970, a time as 2026-07-28T12:00:00Z, or how long ago as 10m");
}

}  // namespace

void show_info(const ControlRooms& rooms, const RoutedRequest&, const Exchange& exchange) {
    rooms.shared.plugins.ask(
        exchange, "info",
        [broker = rooms.broker.get(), registries = rooms.operations.registries.get()](
            const std::vector<PluginView>& plugins) { return info(active_plugins(plugins), *broker, *registries); });
}

void watch_docker_events(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    DockerEvents::Watch watch;
    if (!read_time(request, "since", watch.since)) return exchange.reply(bad_time(request, "since"));
    if (!read_time(request, "until", watch.until)) return exchange.reply(bad_time(request, "until"));
    if (watch.since && watch.until && *watch.until < *watch.since) {
        return exchange.reply(error_reply::end_before_start(*request.parameter("since"), *request.parameter("until")));
    }
    auto filter = DockerEventFilter::parse(request.parameter("filters").value_or(""));
    if (!filter) {
        return exchange.reply(error_reply::operation_failed({OperationError::Kind::invalid, filter.error().message}));
    }
    watch.filter = *std::move(filter);
    rooms.docker_events.watch(exchange, std::move(watch));
}

}  // namespace brokerd
