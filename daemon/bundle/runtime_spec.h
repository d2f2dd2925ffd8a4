#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "daemon/bundle/seccomp_profile.h"
#include "daemon/managed/plugin_record.h"

namespace brokerd {

/// How many files a plugin may have open at most: what this process could have, but no more than systemd gives.
[[nodiscard]] std::uint64_t usual_open_files();

/// Where things are on this host, and what it offers: gathered by whoever runs the plugin. Paths are absolute.
struct SpecPlaces {
    std::string rootfs;            ///< STATE/plugins/ID/rootfs
    std::string socket_directory;  ///< RUNTIME/exec/ID: /run/docker/plugins inside; belongs to the plugin's user
    std::string propagated_mount;  ///< STATE/plugins/ID/propagated-mount, a shared mount; used where the config has one
    std::string cgroups_path;      ///< "/brokerd/ID", or "brokerd.slice:brokerd:ID" for systemd; see systemd_cgroup
    /// The cgroup is made through systemd, as a scope: annotations order it between brokerd and the engines.
    bool systemd_cgroup = false;
    std::string hosts_file = "/etc/hosts";
    std::string resolv_file = "/etc/resolv.conf";
    /// Of the plugin's processes. Without it they would inherit brokerd's, which the kernel is to kill last.
    int oom_score_adj = 0;
    std::uint64_t open_files = usual_open_files();
};

/// The OCI runtime spec (config.json of a bundle, runtime-spec 1.0.2) that runs `plugin` as Docker would, from its
/// config, settings and limits. Where it differs from Docker on purpose, runtime_spec.cpp says why.
///
/// Made of nothing but what was granted: settings and config are held against `plugin.granted` here, at every start, as
/// all of them are files that somebody may have edited. Without a profile there is no system call filter; the caller
/// has told the operator so.
///
/// Looks at the devices' nodes and the two files of /etc, so it waits for the disk; any thread. The error is one
/// sentence for the operator: what is missing or refused, and what to do.
[[nodiscard]] Result<std::string> runtime_spec(const PluginRecord& plugin, const SpecPlaces& places,
                                               const std::optional<SeccompProfile>& profile);

/// Docker's default set and what the plugin's config asks for: everything that its root user has.
[[nodiscard]] std::vector<std::string> effective_capabilities(const PluginConfig& config);

}  // namespace brokerd
