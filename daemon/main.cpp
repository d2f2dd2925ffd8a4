#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <malloc.h>
#include <signal.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <chrono>
#include <exception>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <utility>
#include <variant>

#include "common/os/disk_error.h"
#include "common/os/exclusive_lock.h"
#include "common/os/path_trust.h"
#include "common/os/socket_path.h"
#include "daemon/archive/remove_tree.h"
#include "daemon/archive/worker.h"
#include "daemon/config/config.h"
#include "daemon/control/control_server.h"
#include "daemon/control/control_socket.h"
#include "daemon/core/plugin_table.h"
#include "daemon/core/waiting_plugin_runs.h"
#include "daemon/discovery/discovery.h"
#include "daemon/loop/activated_descriptors.h"
#include "daemon/loop/core_loop.h"
#include "daemon/loop/journal_sink.h"
#include "daemon/loop/log.h"
#include "daemon/loop/log_entry.h"
#include "daemon/loop/log_queue.h"
#include "daemon/loop/signal_watch.h"
#include "daemon/loop/stderr_sink.h"
#include "daemon/managed/state_directory.h"
#include "daemon/operations/rooms.h"
#include "daemon/operations/upkeep.h"
#include "daemon/proxy/connection_keeper.h"
#include "daemon/proxy/kept_sockets.h"
#include "daemon/proxy/published_sockets.h"
#include "daemon/reload.h"
#include "daemon/runtime/container_runner.h"
#include "daemon/runtime/systemd_manager.h"
#include "daemon/settings.h"

namespace brokerd {
namespace {

/// Ours: for calls under way when brokerd stops. A Mount may well take ten seconds, and what comes meanwhile waits in
/// the published sockets. brokerd.service's TimeoutStopSec is made of this.
constexpr std::chrono::seconds kDrainLimit{20};

/// Ours: heaps of malloc(3) besides those of the proxy threads. It would make up to eight for each processor, one more
/// whenever more jobs run side by side than ever before, and each keeps what was freed in it.
constexpr int kSharedHeaps = 3;

/// The group's id, or nothing where the host has no such group: then only root is served.
std::optional<gid_t> find_group(const std::string& name) {
    const struct group* const entry =
        getgrnam(name.c_str());  // NOLINT(concurrency-mt-unsafe): before any thread exists
    if (entry != nullptr) return entry->gr_gid;
    log_info("there is no group {}; only root may use the control socket", name);
    return std::nullopt;
}

/// Two brokerds would undo each other's changes. The lock ends with the process. Fails where there is nothing to lock.
Result<UniqueFd> lock_state_root(const std::string& path) {
    std::error_code made;
    std::filesystem::create_directories(path, made);
    UniqueFd root{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!root && made) return fail(disk_error("make the directory", path, made.value()));
    if (!root) return fail(disk_error("open the directory", path, errno));
    if (lock_exclusively(root.get())) return root;
    if (errno != EWOULDBLOCK) return fail(disk_error("lock", path, errno));
    throw std::runtime_error{
        fmt::format("another brokerd uses the state root {}; stop it, or give this one another --state-root", path)};
}

/// Why `root` cannot be used: somebody else could put in its place, or in that of a directory of brokerd's in it, what
/// is then run as root. Empty: it can.
std::string distrust_of(std::string_view what, const std::string& root, std::initializer_list<const char*> its_own) {
    auto place = find_untrusted(root);
    for (const char* const directory : its_own) {
        if (!place) place = find_untrusted(root + directory);
    }
    if (!place) return {};
    return fmt::format("the {} {} cannot be used: {}; {}", what, root, place->reason, place->remedy);
}

/// What is known of managed plugins, and what they are made from.
struct ManagedState {
    UniqueFd lock;
    PluginStore plugins;
    std::unique_ptr<BlobStore> blobs;
    std::string unavailable{};  ///< why this is a stand-in, which nobody may change; empty: it is not
};

Result<ManagedState> open_state(const std::string& root) {
    auto lock = lock_state_root(root);
    if (!lock) return fail(lock.error());
    const std::string why = distrust_of("state root", root, {"/plugins/tmp", "/blobs/sha256", "/blobs/tmp", "/logs"});
    if (!why.empty()) return fail(why);
    auto opened = PluginStore::open(root, [](int parent, const std::string& name) -> Result<bool> {
        const auto removed = remove_tree(parent, name);
        if (!removed) return fail(removed.error());
        return true;
    });
    if (!opened) return fail(opened.error());
    auto blobs = BlobStore::open(root + "/blobs");
    if (!blobs) return fail(blobs.error());
    for (const std::string& finding : opened->findings) log_state_finding(finding);
    return ManagedState{*std::move(lock), std::move(opened->store), *std::move(blobs)};
}

/// A disk that fails must not take the legacy plugins down: they need no state. Where the state root cannot be used,
/// an empty one below the runtime root stands in for it, so that no other code has to know of a store that is not
/// there; the control API refuses all that is about managed plugins, with the reason.
ManagedState open_state_or_stand_in(const Config& config) {
    auto opened = open_state(config.state_root);
    if (opened) return *std::move(opened);
    log_entry({LogLevel::error,
               fmt::format("managed plugins are not available: {}", opened.error().message),
               message::kStateUnavailable,
               {{"REASON", opened.error().message}}});
    auto stand_in = open_state(config.runtime_root + "/no-state");
    if (!stand_in) throw std::runtime_error{stand_in.error().message};
    stand_in->unavailable =
        fmt::format("managed plugins are not available: {}; then restart brokerd", opened.error().message);
    return *std::move(stand_in);
}

struct ControlSocket {
    UniqueFd socket;
    std::string path;  ///< where it really is
};

/// systemd's socket serves as it is, but for whom, and where, brokerd.conf may say something else than brokerd.socket.
ControlSocket adopt_control_socket(UniqueFd socket, const Config& config, std::optional<gid_t> group) {
    std::string path = socket_path(socket.get());
    if (path != config.control_socket) {
        log_warning(
            "the control socket is {}, where systemd listens, and not {} (control-socket): change ListenStream= by "
            "systemctl edit brokerd.socket, or take the setting back",
            path, config.control_socket);
    }
    if (group && !path.empty()) {
        if (const auto problem = give_to_group(path, *group))
            log_warning("the group {} cannot use the control socket: {}", config.group, problem->message);
    }
    return {std::move(socket), std::move(path)};
}

ControlSocket take_control_socket(ActivatedDescriptors& activated, const Config& config, std::optional<gid_t> group) {
    if (UniqueFd socket = take_activated_socket(activated, config.control_socket))
        return adopt_control_socket(std::move(socket), config, group);
    std::filesystem::create_directories(std::filesystem::path{config.control_socket}.parent_path());
    auto bound = bind_control_socket(config.control_socket, group);
    if (!bound) throw std::runtime_error{bound.error().message};
    return {*std::move(bound), config.control_socket};
}

/// For engines' calls: those under way are finished, and what comes meanwhile waits for the next brokerd. Then the
/// plugins, unless they are to run on. A second signal ends it at once.
void stop(CoreLoop& loop, PluginTable& plugins, bool is_second, bool live_restore) {
    sd_notify(0, "STOPPING=1");
    if (is_second) return loop.stop(0);
    const bool stops_plugins = plugins.runs() != nullptr && (!live_restore || host_is_stopping());
    plugins.drain(kDrainLimit, [&loop, &plugins, stops_plugins] {
        if (!stops_plugins) return loop.stop(0);
        log_info("stopping all managed plugins");
        plugins.runs()->stop_all([&loop] { loop.stop(0); });
    });
}

ManagedRunning managed_running(const Config& config, ContainerRunner& runner) {
    ManagedRunning running{runner};
    running.places = {config.state_root + "/plugins", config.runtime_root + "/exec"};
    running.diagnose = [&runner](pid_t pid, const std::string& id, const std::string& socket,
                                 const std::string& last_try, std::function<void(std::string)> then) {
        runner.why_not_listening(pid, id, socket, last_try, std::move(then));
    };
    running.runner_problem = [&runner] { return runner.problem(); };
    running.health.interval = config.health_interval;
    running.restart_unhealthy = config.restart_unhealthy;
    return running;
}

int run(ActivatedDescriptors& activated, Config config, const BlockedSignals& signals, int argc,
        const char* const* argv) {
    signal(SIGPIPE, SIG_IGN);  // OpenSSL writes with write(2): a closed connection is an error there, not a signal
    const auto group = find_group(config.group);
    const std::string why = distrust_of("runtime root", config.runtime_root,
                                        {"/plugins", "/exec", "/bundles", "/runtime-state", "/no-state"});
    if (!why.empty()) throw std::runtime_error{why};
    CoreLoop loop;                       // its thread, this one, owns all plugin state below
    ConnectionKeeper keeper{activated};  // ends the last one's, which has its locks, before anything is locked
    PublishedSockets sockets{config.runtime_root, config.engine_socket_dir, group, KeptSockets{activated}};
    ManagedState state = open_state_or_stand_in(config);
    std::optional<ContainerRunner> runner;  // none where nothing is known of managed plugins
    if (state.unavailable.empty()) runner.emplace(loop, runtime_settings(config));
    PluginTableSettings settings = table_settings(config);
    settings.proxy.keeper = &keeper;
    PluginTable plugins{loop, sockets, settings};
    if (runner) plugins.run_managed_plugins(managed_running(config, *runner));
    Discovery discovery{loop, discovery_settings(config),
                        [&](const struct stat& status) { return sockets.is_ours(status); },
                        [&](const std::string& name, const auto& definition) { plugins.apply(name, definition); }};
    plugins.set_managed_unavailable(state.unavailable);
    InstalledPlugins installed{std::move(state.plugins), [&](std::vector<PluginRecordPtr> records) {
                                   loop.post([&plugins, records = std::move(records)] { plugins.apply(records); });
                               }};
    Current<RegistrySettings> registries{registry_settings(config)};
    const ArchiveLimits archive_limits;
    PluginClaims claims;
    WaitingPluginRuns runs{loop, plugins, config.state_root + "/plugins"};
    const PluginLogs logs{config.state_root + "/logs"};
    const OperationRooms operations{installed,      claims, *state.blobs, registries,
                                    archive_limits, runs,   logs,         state.unavailable};
    plugins.apply(installed.read([](const PluginStore& store) { return store.records(); }));
    collect_blobs(operations);  // of installs that a crash ended
    discovery.start();
    sockets.remove_leftovers();  // what the scan has not published again belongs to plugins that are gone
    keeper.close_untaken();
    ControlSocket control_socket = take_control_socket(activated, config, group);
    ControlServer control{loop,
                          plugins,
                          operations,
                          std::move(control_socket.socket),
                          {PeerPolicy{geteuid(), group}, {}, broker_facts(config)}};
    Reload reload{argc, argv, config, {discovery, plugins, installed, registries, runner, control}};
    bool stopping = false;
    const SignalWatch watch{loop, signals, [&](int signal) {
                                if (signal == SIGHUP) return stopping ? void() : reload();
                                stop(loop, plugins, std::exchange(stopping, true), config.live_restore);
                            }};
    // Every published socket of the first scan is listening: engines may start (DESIGN.md section 11).
    // Who is not told would end us after a while, without a word of why.
    if (const int told = sd_notify(0, "READY=1\nSTATUS=ready"); told < 0) {
        throw std::system_error{-told, std::generic_category(), "cannot tell systemd READY=1"};
    }
    log_entry({LogLevel::info,
               fmt::format("brokerd {} is ready: {} plugins, control socket {}", BROKERD_VERSION, plugins.list().size(),
                           control_socket.path),
               message::kReady});
    const int status = loop.run();
    log_entry({LogLevel::info, "brokerd stops", message::kStopped});
    return status;
}

/// Whether entries go to the journal with their fields, and not as lines to stderr.
bool logs_to_journal() {
    return is_journal_stream(STDERR_FILENO) && ::access(JournalSocket::kPath, F_OK) == 0;
}

/// Says why there is no daemon, or what was asked for instead of one.
int leave(const EarlyExit& exit) {
    const bool told = exit.status != 0 && logs_to_journal() &&
                      JournalSink{}.try_write({LogLevel::error,
                                               fmt::format("brokerd cannot start: {}", exit.reason),
                                               message::kConfigRefused,
                                               {{"REASON", exit.reason}}});
    if (!told) fmt::print(exit.status == 0 ? stdout : stderr, "{}", exit.text);
    return exit.status;
}

/// The log, which the threads of run() use until they have ended, and what ends it all.
int run_logged(ActivatedDescriptors& activated, Config config, int argc, const char* const* argv) {
    set_log_level(log_level(config));
    mallopt(M_ARENA_MAX, static_cast<int>(config.proxy_threads) + kSharedHeaps);
    const BlockedSignals signals{SIGTERM, SIGINT, SIGHUP};  // before any thread exists: threads inherit the mask
    std::unique_ptr<LogSink> sink;
    if (logs_to_journal()) {
        sink = std::make_unique<JournalSink>();
    } else {
        sink = std::make_unique<StderrSink>(STDERR_FILENO);
    }
    LogQueue queue{std::move(sink)};
    const InstalledLog log{queue};
    try {
        return run(activated, std::move(config), signals, argc, argv);
    } catch (const std::exception& error) {
        log_entry({LogLevel::error, fmt::format("brokerd cannot run: {}", error.what()), message::kCannotRun});
        return 1;
    }
}

}  // namespace
}  // namespace brokerd

int main(int argc, char** argv) try {
    if (brokerd::is_archive_worker(argc, argv)) brokerd::archive_worker_main(argc, argv);
    brokerd::ActivatedDescriptors activated;  // before anything else opens descriptors
    auto loaded = brokerd::load_config(argc, argv);
    if (const auto* exit = std::get_if<brokerd::EarlyExit>(&loaded)) return brokerd::leave(*exit);
    return brokerd::run_logged(activated, std::get<brokerd::Config>(std::move(loaded)), argc, argv);
} catch (const std::exception& error) {
    brokerd::log_error("brokerd cannot run: {}", error.what());
    return 1;
}
