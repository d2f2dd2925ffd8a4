#include "daemon/config/config.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <thread>

namespace brokerd {
namespace {

constexpr const char* kDefaultFile = "/etc/brokerd/brokerd.conf";

/// Ours: one proxy thread saturates a core with about a hundred thousand calls a second; leave cores to the plugins.
unsigned default_proxy_threads() {
    return std::clamp(std::thread::hardware_concurrency() / 2, 1U, 4U);
}

std::string check_absolute(const std::string& path) {
    return !path.empty() && path.front() == '/' ? std::string{} : fmt::format("{} is not an absolute path", path);
}

}  // namespace

std::variant<Config, EarlyExit> load_config(int argc, const char* const* argv) {
    Config config;
    config.proxy_threads = default_proxy_threads();
    unsigned timeout = static_cast<unsigned>(config.activation_timeout.count());
    const CLI::Validator absolute{check_absolute, "PATH", "absolute"};

    CLI::App app{
        "brokerd finds container engine plugins, activates them, and offers each as a Unix socket to any engine.",
        "brokerd"};
    app.set_version_flag("--version", std::string{"brokerd "} + BROKERD_VERSION);
    app.set_config("--config", kDefaultFile,
                   "Read settings from FILE: one \"flag = value\" a line, named as below without the dashes");
    app.add_option("--control-socket", config.control_socket, "Where pluginctl and engines reach brokerd")
        ->check(absolute)
        ->capture_default_str();
    app.add_option("--group", config.group, "Members of this group may use the control socket; that makes them root")
        ->capture_default_str();
    app.add_option("--state-root", config.state_root, "Where managed plugins and their state are kept")
        ->check(absolute)
        ->capture_default_str();
    app.add_option("--runtime-root", config.runtime_root, "Where published sockets are made, in DIR/plugins")
        ->check(absolute)
        ->capture_default_str();
    app.add_option("--engine-socket-dir", config.engine_socket_dir,
                   "Where engines look for plugin sockets; published there, too")
        ->check(absolute)
        ->capture_default_str();
    app.add_option("--spec-dir", config.spec_dirs,
                   "Where .spec and .json files are looked for, in this order; may be repeated")
        ->check(absolute)
        ->capture_default_str();
    app.add_option("--proxy-threads", config.proxy_threads, "Threads that carry calls to plugins")
        ->check(CLI::Range(1, 64))
        ->capture_default_str();
    app.add_option("--activation-timeout", timeout,
                   "Seconds that a plugin gets to answer its first handshake, and a request waits for it")
        ->check(CLI::Range(1, 3600))
        ->capture_default_str();
    const std::map<std::string, bool> activation{{"eager", false}, {"lazy", true}};
    app.add_option("--activation", config.lazy_activation,
                   "eager: activate a plugin when it is found; lazy: when it is first asked for")
        ->transform(CLI::CheckedTransformer(activation))
        ->default_str("eager");
    app.add_flag("--allow-unsafe-files", config.allow_unsafe_files,
                 "Accept definitions that others than root can write (for tests)");
    const std::map<std::string, Config::LogDetail> levels{{"error", Config::LogDetail::error},
                                                          {"warning", Config::LogDetail::warning},
                                                          {"info", Config::LogDetail::info},
                                                          {"debug", Config::LogDetail::debug}};
    app.add_option("--log-level", config.log_level, "error, warning, info or debug")
        ->transform(CLI::CheckedTransformer(levels))
        ->default_str("info");
    app.footer(
        "brokerd runs in the foreground, logs to stderr, and stops on SIGTERM. SIGHUP makes it read the plugin "
        "directories again.");

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        std::ostringstream out;
        std::ostringstream problem;
        const int status = app.exit(error, out, problem);
        if (status == 0) return EarlyExit{0, out.str()};
        return EarlyExit{2, fmt::format("brokerd: {}; see brokerd --help\n", error.what())};
    }
    config.activation_timeout = std::chrono::seconds{timeout};
    return config;
}

}  // namespace brokerd
