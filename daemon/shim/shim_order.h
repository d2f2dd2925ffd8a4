#pragma once

#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "common/result.h"

namespace brokerd {

/// The descriptors that a shim is started with. Standard input, output and error are of no use to it.
inline constexpr int kShimReportFd = 3;  ///< a pipe's writing end: the report, then it is closed
inline constexpr int kShimLockFd = 4;    ///< the bundle's lock, locked; kept open until the shim ends

/// Ours: how long the OCI runtime may take to start a plugin; then the shim kills it and reports that. Whoever waits
/// for the report waits a little longer.
inline constexpr std::chrono::seconds kShimStartLimit{30};

/// What a shim is to run: its command line.
struct ShimOrder {
    std::string id;               ///< of the plugin, and of its container for the OCI runtime
    std::string name;             ///< of the plugin, as people know it
    std::string runtime;          ///< the OCI runtime's path
    std::string runtime_root;     ///< its --root
    std::string bundle;           ///< the bundle directory, absolute
    bool systemd_cgroup = false;  ///< the OCI runtime's --systemd-cgroup
    std::string log_directory;    ///< where to keep the plugin's output, made if need be; empty: in the journal
};

/// The command line with `program` before it, for execve(2).
[[nodiscard]] std::vector<std::string> shim_command(const std::string& program, const ShimOrder& order);
/// The same, read by the shim: what follows the program's name.
[[nodiscard]] Result<ShimOrder> parse_shim_command(std::span<char* const> arguments);

/// Where the OCI runtime puts the plugin, below the root of each cgroup hierarchy (see daemon/runtime/cgroup_driver.h).
[[nodiscard]] std::string cgroup_of(const ShimOrder& order);

/// The path of brokerd-shim: in a build tree in shim/ beside this program, else where it is installed
/// (../libexec/brokerd). An error where it is in neither place.
[[nodiscard]] Result<std::string> find_shim();

}  // namespace brokerd
