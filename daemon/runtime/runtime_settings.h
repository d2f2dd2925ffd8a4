#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace brokerd {

/// Who makes the plugins' cgroups: systemd, which then knows of them, or the OCI runtime by itself.
enum class CgroupDriver : std::uint8_t { systemd, cgroupfs };

/// How managed plugins are run on this host. A value; the paths are absolute.
struct RuntimeSettings {
    enum class LogTarget : std::uint8_t {
        automatic,  ///< the journal where it runs, else files
        journal,
        files,  ///< STATE/logs/ID
    };

    std::string runtime = "runc";  ///< the OCI runtime: a path, or a name that is looked up in PATH
    std::string state_root;
    std::string runtime_root;
    std::string shim;  ///< brokerd-shim; empty: where it belongs, seen from this program (see find_shim)
    LogTarget logs = LogTarget::automatic;
    std::optional<CgroupDriver> cgroup_driver;  ///< none: chosen by what the host offers
};

}  // namespace brokerd
