#pragma once

#include <string>

#include "daemon/runtime/runtime_settings.h"

namespace brokerd {

/// systemd where it runs this host and answers on the system bus within a few seconds, because it must not find groups
/// below its own that it knows nothing of; else cgroupfs. Thread: any that may wait.
[[nodiscard]] CgroupDriver choose_cgroup_driver();

/// The `cgroupsPath` of a plugin's OCI spec: "brokerd.slice:brokerd:ID" (slice, prefix and name of a scope), or
/// "/brokerd/ID".
[[nodiscard]] std::string cgroups_path(CgroupDriver driver, const std::string& id);

}  // namespace brokerd
