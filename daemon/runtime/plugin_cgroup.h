#pragma once

#include <string>
#include <vector>

#include "common/result.h"

namespace brokerd {

/// The control groups of one plugin: one in the unified hierarchy, or one in each controller's (cgroup v1), or both (a
/// hybrid host). For what the OCI runtime leaves behind: it may have been killed, or be gone.
/// Thread: any that may wait.
class PluginCgroup {
public:
    /// Looks at what is mounted now, and for both drivers: the last brokerd may have had another one. Groups that do
    /// not exist are no error.
    [[nodiscard]] static Result<PluginCgroup> find(const std::string& id);

    /// SIGKILL to every process in them, until there is none. The error: some did not go within a few seconds.
    [[nodiscard]] Result<bool> kill_all() const;
    /// Removes the groups, which must be empty. The error names the first that cannot be removed.
    [[nodiscard]] Result<bool> remove() const;

    [[nodiscard]] bool exists() const;

private:
    explicit PluginCgroup(std::vector<std::string> directories) : directories_{std::move(directories)} {}

    std::vector<std::string> directories_;
};

}  // namespace brokerd
