// A plugin's spec is Docker's (engine 20.10, plugin/v2 InitSpec on oci.DefaultSpec), so that what runs there runs here,
// except where Docker does less than it says or opens more than anybody asked for:
//
// * `user` of the config counts. Docker reads it and runs everything as root. A user that is not root gets the
//   capabilities that its config asks for as ambient ones: it would have none of them otherwise.
// * Nothing is inheritable for root. Root needs no inheritable capabilities to have them, and with them they would pass
//   to programs that it starts as other users (the mistake of CVE-2022-24769, made by Docker for containers
//   until 20.10.14).
// * There is a system call filter. Docker has none for plugins.
// * The socket directory is private (spec_mounts.cpp), and the energy meters that tell what the processor works on
//   (CVE-2020-8694) are masked, as Docker does for containers since 25.
// * `network: bridge` is refused. Docker makes an empty network namespace of it, without telling.
// * What settings miss is an error that says so; Docker crashes on a device without a path.
// * A limit of open files, and a fair score for the kernel's choice of whom to kill for memory: both would be
// brokerd's.
//
// As Docker's: no_new_privileges stays off, because a plugin with a user of its own mounts through fusermount, which is
// set-uid; and the host name is the host's, because cluster plugins tell nodes by it.
#include "daemon/bundle/runtime_spec.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>

#include "common/json_members.h"
#include "daemon/bundle/device_nodes.h"
#include "daemon/bundle/spec_mounts.h"

namespace brokerd {
namespace {

using Network = PluginConfig::Network;

constexpr const char* kSpecVersion = "1.0.2";
constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// unix(7): a socket's address holds 108 bytes, the last of them zero.
constexpr std::size_t kMostInSocketPath = 107;

/// Of systemd (its DefaultLimitNOFILE): the most that a service may raise its limit to.
constexpr std::uint64_t kMostOpenFiles = 524'288;
/// Ours. Under Docker plugins begin with a million, and some count on far more than the usual 1024; but programs that
/// close every possible descriptor would take seconds for a million.
constexpr std::uint64_t kFirstOpenFiles = 65'536;

/// The kernel's scheduler takes a quota for a period; this is its usual one.
constexpr std::uint64_t kCpuPeriodMicroseconds = 100'000;
constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;

constexpr std::array kDefaultCapabilities{
    "CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",     "CAP_MKNOD",
    "CAP_NET_RAW", "CAP_SETGID",       "CAP_SETUID",           "CAP_SETFCAP",    "CAP_SETPCAP",
    "CAP_KILL",    "CAP_SYS_CHROOT",   "CAP_NET_BIND_SERVICE", "CAP_AUDIT_WRITE"};

constexpr std::array kMaskedPaths{"/proc/asound",
                                  "/proc/acpi",
                                  "/proc/kcore",
                                  "/proc/keys",
                                  "/proc/latency_stats",
                                  "/proc/timer_list",
                                  "/proc/timer_stats",
                                  "/proc/sched_debug",
                                  "/proc/scsi",
                                  "/sys/firmware",
                                  "/sys/devices/virtual/powercap"};
constexpr std::array kReadonlyPaths{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

/// null, zero, full, random, urandom, tty, console: as Docker, which leaves the pseudo-terminals to the runtime.
constexpr std::array<std::array<unsigned, 2>, 6> kDefaultDevices{{{1, 5}, {1, 3}, {1, 9}, {1, 8}, {5, 0}, {5, 1}}};

void write_member_strings(JsonWriter& writer, std::string_view key, const std::vector<std::string>& texts) {
    write_key(writer, key);
    write_strings(writer, texts);
}

template <class Array>
void write_constants(JsonWriter& writer, std::string_view key, const Array& texts) {
    write_member_strings(writer, key, {texts.begin(), texts.end()});
}

void write_number(JsonWriter& writer, std::string_view key, std::uint64_t number) {
    write_key(writer, key);
    writer.Uint64(number);
}

std::vector<std::string> environment_of(const PluginSettings& settings) {
    std::vector<std::string> all;
    const auto& given = settings.env.items();
    // Twice in one environment, and programs would differ in which one they take.
    const bool has_path =
        std::any_of(given.begin(), given.end(), [](const std::string& text) { return text.starts_with("PATH="); });
    if (!has_path) all.push_back(fmt::format("PATH={}", kDefaultPath));
    all.insert(all.end(), given.begin(), given.end());
    return all;
}

void write_capabilities(JsonWriter& writer, const PluginConfig& config) {
    const std::vector<std::string> all = effective_capabilities(config);
    const std::vector<std::string> none;
    const std::vector<std::string>& kept_by_user = config.uid == 0 ? none : config.capabilities.items();
    write_key(writer, "capabilities");
    writer.StartObject();
    write_member_strings(writer, "bounding", all);
    write_member_strings(writer, "effective", all);
    write_member_strings(writer, "permitted", all);
    if (!kept_by_user.empty()) {
        write_member_strings(writer, "inheritable", kept_by_user);
        write_member_strings(writer, "ambient", kept_by_user);
    }
    writer.EndObject();
}

void write_process(JsonWriter& writer, const PluginRecord& plugin, const SpecPlaces& places) {
    const PluginConfig& config = *plugin.config;
    std::vector<std::string> arguments = config.entrypoint.items();
    arguments.insert(arguments.end(), plugin.settings.args.begin(), plugin.settings.args.end());
    write_key(writer, "process");
    writer.StartObject();
    write_key(writer, "user");
    writer.StartObject();
    write_number(writer, "uid", config.uid);
    write_number(writer, "gid", config.gid);
    writer.EndObject();
    write_member_strings(writer, "args", arguments);
    write_member_strings(writer, "env", environment_of(plugin.settings));
    write_member(writer, "cwd", config.workdir.empty() ? "/" : config.workdir);
    write_capabilities(writer, config);
    write_key(writer, "rlimits");
    writer.StartArray();
    writer.StartObject();
    write_member(writer, "type", "RLIMIT_NOFILE");
    write_number(writer, "hard", places.open_files);
    write_number(writer, "soft", std::min(places.open_files, kFirstOpenFiles));
    writer.EndObject();
    writer.EndArray();
    write_key(writer, "oomScoreAdj");
    writer.Int(places.oom_score_adj);
    writer.EndObject();
}

void write_mounts(JsonWriter& writer, const std::vector<SpecMount>& mounts) {
    write_key(writer, "mounts");
    writer.StartArray();
    for (const SpecMount& mount : mounts) {
        writer.StartObject();
        write_member(writer, "destination", mount.destination);
        if (!mount.type.empty()) write_member(writer, "type", mount.type);
        write_member(writer, "source", mount.source);
        if (!mount.options.empty()) write_member_strings(writer, "options", mount.options);
        writer.EndObject();
    }
    writer.EndArray();
}

void write_device_rule(JsonWriter& writer, bool allow, char type = 0, unsigned major = 0, unsigned minor = 0) {
    writer.StartObject();
    write_key(writer, "allow");
    writer.Bool(allow);
    if (type != 0) {
        write_member(writer, "type", std::string_view{&type, 1});
        write_number(writer, "major", major);
        write_number(writer, "minor", minor);
    }
    write_member(writer, "access", "rwm");
    writer.EndObject();
}

void write_device_rules(JsonWriter& writer, const PluginConfig& config, const std::vector<DeviceNode>& nodes) {
    write_key(writer, "devices");
    writer.StartArray();
    write_device_rule(writer, config.allow_all_devices);
    if (!config.allow_all_devices) {
        for (const auto& [major, minor] : kDefaultDevices) write_device_rule(writer, true, 'c', major, minor);
    }
    for (const DeviceNode& node : nodes) write_device_rule(writer, true, node.type, node.major, node.minor);
    writer.EndArray();
}

void write_resources(JsonWriter& writer, const PluginRecord& plugin, const std::vector<DeviceNode>& nodes) {
    const PluginLimits& limits = plugin.limits;
    write_key(writer, "resources");
    writer.StartObject();
    write_device_rules(writer, *plugin.config, nodes);
    if (limits.memory != 0) {
        write_key(writer, "memory");
        writer.StartObject();
        write_number(writer, "limit", limits.memory);
        writer.EndObject();
    }
    if (limits.nano_cpus != 0) {
        write_key(writer, "cpu");
        writer.StartObject();
        write_number(writer, "quota", limits.nano_cpus / (kNanosecondsPerSecond / kCpuPeriodMicroseconds));
        write_number(writer, "period", kCpuPeriodMicroseconds);
        writer.EndObject();
    }
    if (limits.pids != 0) {
        write_key(writer, "pids");
        writer.StartObject();
        write_number(writer, "limit", limits.pids);
        writer.EndObject();
    }
    writer.EndObject();
}

void write_devices(JsonWriter& writer, const std::vector<DeviceNode>& nodes) {
    write_key(writer, "devices");
    writer.StartArray();
    for (const DeviceNode& node : nodes) {
        writer.StartObject();
        write_member(writer, "path", node.path);
        write_member(writer, "type", std::string_view{&node.type, 1});
        write_number(writer, "major", node.major);
        write_number(writer, "minor", node.minor);
        write_number(writer, "fileMode", node.mode);
        write_number(writer, "uid", node.uid);
        write_number(writer, "gid", node.gid);
        writer.EndObject();
    }
    writer.EndArray();
}

void write_namespaces(JsonWriter& writer, const PluginConfig& config) {
    write_key(writer, "namespaces");
    writer.StartArray();
    const auto write = [&](const char* type) {
        writer.StartObject();
        write_member(writer, "type", type);
        writer.EndObject();
    };
    write("mount");
    if (config.network != Network::host) write("network");
    write("uts");
    if (!config.pid_host) write("pid");
    if (!config.ipc_host) write("ipc");
    writer.EndArray();
}

/// For the scope that the runtime has systemd make; values are in the notation of GVariant. Runtimes make scopes
/// without the default dependencies, which systemd would kill last and all at once: with them, and in this order, what
/// uses plugins ends first when the host shuts down, then the plugins, then brokerd, which cleans up after them. The
/// engines are named by that target and not here: systemd starts nothing that is ordered before a unit which is just
/// stopping, and an engine that stops may wait for a plugin that has to be started again. A failed scope must not stay,
/// as its name is needed for the next start.
void write_annotations(JsonWriter& writer) {
    write_key(writer, "annotations");
    writer.StartObject();
    write_member(writer, "org.systemd.property.DefaultDependencies", "true");
    write_member(writer, "org.systemd.property.Before", "['brokerd-engines.target']");
    write_member(writer, "org.systemd.property.After", "['brokerd.service']");
    write_member(writer, "org.systemd.property.TimeoutStopUSec", "uint64 10000000");
    write_member(writer, "org.systemd.property.CollectMode", "'inactive-or-failed'");
    writer.EndObject();
}

void write_linux(JsonWriter& writer, const PluginRecord& plugin, const SpecPlaces& places,
                 const std::vector<DeviceNode>& nodes, const std::optional<SeccompProfile>& profile) {
    const PluginConfig& config = *plugin.config;
    write_key(writer, "linux");
    writer.StartObject();
    write_member(writer, "cgroupsPath", places.cgroups_path);
    write_resources(writer, plugin, nodes);
    write_namespaces(writer, config);
    write_devices(writer, nodes);
    if (profile) {
        write_key(writer, "seccomp");
        profile->write(writer, SeccompFacts::of_host(effective_capabilities(config)));
    }
    // The propagated mount's own option is not enough: a runtime cuts off all that the plugin mounts otherwise.
    if (!config.propagated_mount.empty()) write_member(writer, "rootfsPropagation", "rshared");
    write_constants(writer, "maskedPaths", kMaskedPaths);
    write_constants(writer, "readonlyPaths", kReadonlyPaths);
    writer.EndObject();
}

Result<std::vector<DeviceNode>> devices_of(const PluginRecord& plugin) {
    std::vector<DeviceNode> all;
    for (const PluginDevice& device : plugin.settings.devices) {
        const auto& settable = device.settable.items();
        const bool can_be_set =
            !device.name.empty() && std::find(settable.begin(), settable.end(), "path") != settable.end();
        const std::string remedy =
            can_be_set ? fmt::format("set another: pluginctl set {} {}.path=PATH", plugin.name, device.name)
                       : std::string{"see whether its driver is loaded (modprobe) and its hardware is there"};
        const std::string path = device.path.value_or("");
        if (path.empty()) {
            return fail(fmt::format("its device \"{}\" has no path; {}", device.name,
                                    can_be_set ? remedy : "its config must give one: ask its author"));
        }
        auto nodes = device_nodes(path);
        if (!nodes) return fail(fmt::format("its device {}: {}; {}", path, nodes.error().message, remedy));
        all.insert(all.end(), nodes->begin(), nodes->end());
    }
    return all;
}

/// Why a plugin that asks for this must not run; empty: it may.
std::string refusal(const PluginRecord& plugin, const SpecPlaces& places) {
    const auto granted = check_granted(*plugin.config, plugin.settings, plugin.granted, Consent::as_granted);
    if (!granted) return granted.error().message;
    if (plugin.config->network == Network::bridge) {
        return "its config asks for the network \"bridge\", which would be a network without any way out (in Docker, "
               "too); ask its author for \"host\", or for \"none\" if it needs no network";
    }
    const std::string socket = places.socket_directory + '/' + plugin.config->interface_socket;
    if (socket.size() > kMostInSocketPath) {
        return fmt::format(
            "the path of its socket on this host, {}, has {} bytes, and the kernel takes {}; its author "
            "can shorten interface.socket, or you --runtime-root",
            socket, socket.size(), kMostInSocketPath);
    }
    return {};
}

}  // namespace

std::uint64_t usual_open_files() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max == RLIM_INFINITY) return kMostOpenFiles;
    return std::min<std::uint64_t>(limit.rlim_max, kMostOpenFiles);
}

std::vector<std::string> effective_capabilities(const PluginConfig& config) {
    std::vector<std::string> all{kDefaultCapabilities.begin(), kDefaultCapabilities.end()};
    for (const std::string& capability : config.capabilities) {
        if (std::find(all.begin(), all.end(), capability) == all.end()) all.push_back(capability);
    }
    return all;
}

Result<std::string> runtime_spec(const PluginRecord& plugin, const SpecPlaces& places,
                                 const std::optional<SeccompProfile>& profile) {
    const auto cannot = [&](const std::string& why) {
        return fail(fmt::format("plugin {} cannot be started: {}", plugin.name, why));
    };
    if (const std::string refused = refusal(plugin, places); !refused.empty()) return cannot(refused);
    const auto nodes = devices_of(plugin);
    if (!nodes) return cannot(nodes.error().message);
    const auto mounts = spec_mounts(plugin, places);
    if (!mounts) return cannot(mounts.error().message);
    return json_text([&](JsonWriter& writer) {
        writer.StartObject();
        write_member(writer, "ociVersion", kSpecVersion);
        write_process(writer, plugin, places);
        write_key(writer, "root");
        writer.StartObject();
        write_member(writer, "path", places.rootfs);
        writer.EndObject();
        write_mounts(writer, *mounts);
        if (places.systemd_cgroup) write_annotations(writer);
        write_linux(writer, plugin, places, *nodes, profile);
        writer.EndObject();
    });
}

}  // namespace brokerd
