#include "daemon/config/config.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <thread>

#include "common/plugin_name.h"
#include "common/secrets.h"
#include "daemon/config/settings_file.h"
#include "daemon/config/value_checks.h"

namespace brokerd {
namespace {

constexpr const char* kDefaultFile = "/etc/brokerd/brokerd.conf";

/// Ours: one proxy thread saturates a core with about a hundred thousand calls a second; leave cores to the plugins.
unsigned default_proxy_threads() {
    return std::clamp(std::thread::hardware_concurrency() / 2, 1U, 4U);
}

/// Whether the command line gives this setting itself: then the file's does not count.
bool is_given(const std::string& setting, int argc, const char* const* argv) {
    const std::string flag = "--" + setting;
    return std::any_of(argv + 1, argv + argc,
                       [&](std::string_view argument) { return argument == flag || argument.starts_with(flag + '='); });
}

/// On which line the answer timeouts go wrong: each is read together with those before it, as it may only be wrong
/// beside them.
std::string place_of_wrong_timeout(const SettingsFile& file) {
    std::vector<std::string> values;
    for (const SettingsFile::Place& place : file.places()) {
        if (place.setting != "answer-timeout") continue;
        values.insert(values.end(), place.values.begin(), place.values.end());
        if (!AnswerTimeouts::parse(values)) return file.at(place.line);
    }
    return {};
}

/// A complaint of CLI11's, which quotes values as they are, and as long as they are. What is ours in it is escaped
/// already, so that backslashes stay.
std::string shown(const char* complaint) {
    constexpr std::size_t kLongest = 800;
    std::string left = without_secrets(complaint);
    if (left.size() > kLongest) left.replace(kLongest, left.npos, "...");
    std::string out;
    for (std::size_t at = left.find('\\'); at != left.npos; at = left.find('\\')) {
        out += escaped(left.substr(0, at), at) + '\\';
        left.erase(0, at + 1);
    }
    return out + escaped(left, left.size());
}

EarlyExit refused(bool is_files, const std::string& reason, std::string_view hint = {}) {
    const int status = is_files ? EarlyExit::kWrongFile : EarlyExit::kWrongCommandLine;
    return {status, fmt::format("brokerd: {}{}\n", reason, hint), reason};
}

/// What the flags set, as CLI11 has it: with their defaults, until a command line or a file says otherwise.
struct Values {
    Config config;
    std::chrono::seconds::rep activation_timeout = config.activation_timeout.count();
    std::chrono::seconds::rep request_timeout = config.request_timeout.count();
    std::chrono::seconds::rep unread_timeout = config.unread_timeout.count();
    std::chrono::seconds::rep health_interval = config.health_interval.count();
    std::vector<std::string> answer_timeouts;
    std::string activation = "eager";
    std::string log_level = "info";
    bool only_checks = false;

    Values() { config.proxy_threads = default_proxy_threads(); }
};

Config::LogDetail log_detail(const std::string& level) {
    if (level == "error") return Config::LogDetail::error;
    if (level == "warning") return Config::LogDetail::warning;
    return level == "debug" ? Config::LogDetail::debug : Config::LogDetail::info;
}

}  // namespace

/// CLI11 keeps references to the values.
struct ConfigReader::Flags : Values {
    CLI::App app{
        "brokerd finds container engine plugins, activates them, and offers each as a Unix socket to any engine.",
        "brokerd"};

    Flags();
};

ConfigReader::Flags::Flags() {
    const CLI::Validator absolute{check_absolute, "PATH", "absolute"};
    const CLI::Validator boolean{check_boolean, "", "boolean"};
    const CLI::Validator not_empty{check_not_empty, "", "not_empty"};
    const CLI::Validator registry{check_registry, "", "registry"};
    const CLI::Validator mirror{check_mirror, "", "mirror"};

    app.set_version_flag("--version", std::string{"brokerd "} + BROKERD_VERSION);
    app.set_config("--config", kDefaultFile,
                   "Read settings from FILE: one \"flag = value\" a line, named as below without the dashes");
    app.add_flag("--check-config", only_checks,
                 "Say whether brokerd could start with these settings, by the exit status, and exit")
        ->configurable(false);
    app.add_option("--control-socket", config.control_socket, "Where pluginctl and engines reach brokerd")
        ->check(absolute)
        ->capture_default_str();
    app.add_option("--group", config.group, "Members of this group may use the control socket; that makes them root")
        ->check(not_empty)
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
    app.add_option("--max-connections", config.max_connections,
                   "Connections that engines may have to each published socket; more wait until one ends")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    app.add_option("--request-timeout", request_timeout, "Seconds that the head of a request may take to arrive")
        ->check(CLI::Range(1, 3600))
        ->capture_default_str();
    app.add_option(
           "--unread-timeout", unread_timeout,
           "Seconds that an engine may take nothing of an answer before its connection is closed; 0 for any time")
        ->check(CLI::Range(0, 86400))
        ->capture_default_str();
    app.add_option(
           "--answer-timeout", answer_timeouts,
           "Seconds that a plugin may take to the first byte of an answer, 0 for any time; may be repeated, the "
           "most specific counts: 120, sshfs=30, sshfs/VolumeDriver.Mount=300")
        ->type_name("[PLUGIN[/METHOD]=]SECONDS")
        ->default_str("120");
    app.add_option("--activation-timeout", activation_timeout,
                   "Seconds that a plugin gets to answer its first handshake, and a request waits for it")
        ->check(CLI::Range(1, 3600))
        ->capture_default_str();
    app.add_option("--activation", activation,
                   "eager: activate a plugin when it is found; lazy: when it is first asked for")
        ->check(CLI::IsMember({"eager", "lazy"}))
        ->type_name("")
        ->capture_default_str();
    app.add_option("--insecure-registry", config.insecure_registries,
                   "A registry that may be spoken to without TLS or with a certificate that nobody vouches for: "
                   "HOST[:PORT], or a network as ADDRESS/BITS; may be repeated")
        ->check(registry)
        ->type_name("HOST");
    app.add_option("--registry-mirror", config.registry_mirrors,
                   "Where to ask for images of docker.io first: http[s]://HOST[:PORT]; may be repeated")
        ->check(mirror)
        ->type_name("URL");
    app.add_option("--registry-certs", config.registry_certs,
                   "Where certificates for registries are: DIR/HOST[:PORT]/{ca.crt,client.cert,client.key}")
        ->check(absolute)
        ->capture_default_str();
    app.add_option("--oci-runtime", config.oci_runtime,
                   "What runs managed plugins: an OCI runtime's path, or its name in PATH")
        ->check(not_empty)
        ->type_name("PATH")
        ->capture_default_str();
    app.add_option("--live-restore", config.live_restore,
                   "Whether managed plugins run on while brokerd is stopped or restarted")
        ->check(boolean)
        ->type_name("BOOL")
        ->default_str("true");
    app.add_option("--health-interval", health_interval,
                   "Seconds between two probes of a running managed plugin; 0 for none")
        ->check(CLI::Range(0, 86400))
        ->capture_default_str();
    app.add_option("--restart-unhealthy", config.restart_unhealthy,
                   "Whether a managed plugin that no longer answers its probes is restarted")
        ->check(boolean)
        ->type_name("BOOL")
        ->default_str("false");
    app.add_flag("--allow-unsafe-files", config.allow_unsafe_files,
                 "Accept definitions that others than root can write (for tests)")
        ->check(boolean);
    app.add_option("--log-level", log_level, "How much is logged; each level has those before it")
        ->check(CLI::IsMember({"error", "warning", "info", "debug"}))
        ->type_name("")
        ->capture_default_str();
    app.footer(
        "brokerd runs in the foreground, logs to stderr or the journal, and stops on SIGTERM. SIGHUP makes it read the "
        "config file, the plugin directories and plugins.json again, without dropping a connection; the log names the "
        "settings that need a restart. Registries are reached through the proxies that HTTPS_PROXY, HTTP_PROXY and "
        "NO_PROXY name.");
}

ConfigReader::ConfigReader() : flags_{std::make_unique<Flags>()} {}
ConfigReader::~ConfigReader() = default;

std::variant<Config, EarlyExit> ConfigReader::load(int argc, const char* const* argv) {
    static_cast<Values&>(*flags_) = Values{};
    auto& [config, activation_timeout, request_timeout, unread_timeout, health_interval, answer_timeouts, activation,
           log_level, only_checks] = static_cast<Values&>(*flags_);
    CLI::App& app = flags_->app;
    const auto file = std::make_shared<SettingsFile>(app);
    app.config_formatter(file);
    const auto counts = [&](const std::string& setting) { return !is_given(setting, argc, argv); };
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        std::ostringstream out;
        std::ostringstream problem;
        const int status = app.exit(error, out, problem);
        if (status == 0) return EarlyExit{0, out.str(), {}};
        const bool has_place = dynamic_cast<const CLI::ConfigError*>(&error) != nullptr;
        const std::string place = has_place ? std::string{} : file->place_of(error.what(), counts);
        const bool is_files = has_place || !place.empty() || dynamic_cast<const CLI::FileError*>(&error) != nullptr;
        return refused(is_files, place + shown(error.what()), "; see brokerd --help");
    } catch (const std::exception& error) {  // no memory, or what the file is read with does not like it
        return refused(true, shown(error.what()));
    }
    config.lazy_activation = activation == "lazy";
    config.log_level = log_detail(log_level);
    config.activation_timeout = std::chrono::seconds{activation_timeout};
    config.request_timeout = std::chrono::seconds{request_timeout};
    config.unread_timeout = std::chrono::seconds{unread_timeout};
    config.health_interval = std::chrono::seconds{health_interval};
    auto timeouts = AnswerTimeouts::parse(answer_timeouts);
    if (!timeouts) {
        const std::string place = counts("answer-timeout") ? place_of_wrong_timeout(*file) : std::string{};
        return refused(!place.empty(), place + timeouts.error().message);
    }
    config.answer_timeouts = *std::move(timeouts);
    if (only_checks) return EarlyExit{0, "brokerd could start with these settings\n", {}};
    return config;
}

std::variant<Config, EarlyExit> load_config(int argc, const char* const* argv) {
    return ConfigReader{}.load(argc, argv);
}

}  // namespace brokerd
