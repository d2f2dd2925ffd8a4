#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "daemon/config/answer_timeouts.h"

namespace brokerd {

/// Everything that the operator can choose, from brokerd.conf and the command line. Immutable once loaded.
/// Defaults: DESIGN.md section 4.
struct Config {
    enum class LogDetail : std::uint8_t { error, warning, info, debug };

    std::string control_socket = "/run/brokerd/control.sock";
    std::string group = "brokerd";  ///< may use the control socket, besides root
    std::string state_root = "/var/lib/brokerd";
    std::string runtime_root = "/run/brokerd";
    std::string engine_socket_dir = "/run/docker/plugins";
    std::vector<std::string> spec_dirs{"/etc/docker/plugins", "/usr/lib/docker/plugins"};
    unsigned proxy_threads = 1;
    std::size_t max_connections = 4096;        ///< per published socket
    std::chrono::seconds request_timeout{30};  ///< for the head of a request
    std::chrono::seconds unread_timeout{600};  ///< for an engine that takes nothing of an answer; 0: none
    std::chrono::seconds activation_timeout{30};
    AnswerTimeouts answer_timeouts;
    bool lazy_activation = false;
    std::vector<std::string> insecure_registries;  ///< HOST[:PORT] or a network as ADDRESS/BITS
    std::vector<std::string> registry_mirrors;     ///< URLs
    std::string registry_certs = "/etc/docker/certs.d";
    std::string oci_runtime = "runc";          ///< a path, or a name that is looked up in PATH
    bool live_restore = true;                  ///< managed plugins run on while brokerd does not
    std::chrono::seconds health_interval{30};  ///< between probes of a running managed plugin; 0: none
    bool restart_unhealthy = false;
    bool allow_unsafe_files = false;
    LogDetail log_level = LogDetail::info;
};

/// What the command line asked for instead of a daemon: --help, --version, --check-config, or a mistake. `text` is to
/// be printed.
struct EarlyExit {
    static constexpr int kWrongCommandLine = 2;
    /// The file is wrong: EX_CONFIG of sysexits.h(3head). brokerd.service does not try again where it says so.
    static constexpr int kWrongFile = 78;

    int status = 0;  ///< of the process
    std::string text;
    std::string reason;  ///< of a mistake, one sentence; begins with FILE:LINE where it is one of the file's
};

/// Reads settings as load_config() does, for who does so often: what takes the time is to build the table of all flags.
/// Thread: one at a time.
class ConfigReader {
public:
    ConfigReader();
    ~ConfigReader();
    ConfigReader(const ConfigReader&) = delete;
    ConfigReader& operator=(const ConfigReader&) = delete;

    [[nodiscard]] std::variant<Config, EarlyExit> load(int argc, const char* const* argv);

private:
    struct Flags;
    std::unique_ptr<Flags> flags_;
};

/// Reads the command line and the file that --config names (/etc/brokerd/brokerd.conf unless given, which need not
/// exist). The command line wins: a setting that it gives is not read from the file, also where it may be repeated.
/// What the file says that is no setting is a mistake, too. Throws nothing. May be called again, to read the file
/// again.
[[nodiscard]] std::variant<Config, EarlyExit> load_config(int argc, const char* const* argv);

}  // namespace brokerd
