#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

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
    std::chrono::seconds activation_timeout{30};
    bool lazy_activation = false;
    bool allow_unsafe_files = false;
    LogDetail log_level = LogDetail::info;
};

/// What the command line asked for instead of a daemon: --help, --version, or a mistake. `text` is to be printed.
struct EarlyExit {
    int status = 0;
    std::string text;
};

/// Reads the command line and the file that --config names (/etc/brokerd/brokerd.conf unless given, which need not
/// exist). The command line wins. Throws nothing.
[[nodiscard]] std::variant<Config, EarlyExit> load_config(int argc, const char* const* argv);

}  // namespace brokerd
