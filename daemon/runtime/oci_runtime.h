#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"
#include "daemon/runtime/cancellation.h"

namespace brokerd {

/// What a runtime says of itself.
struct RuntimeVersion {
    std::string name;           ///< "runc", "crun"; the program's name where it does not say
    std::string version;        ///< "1.1.5+ds1"; may be empty
    std::string spec;           ///< of the OCI runtime specification, "1.0.2-dev"; may be empty
    bool has_features = false;  ///< it has the command `features`
    std::vector<std::string>
        annotations;  ///< of that command's answer: "NAME=VALUE", such as the version of libseccomp

    /// "runc 1.1.5+ds1"
    [[nodiscard]] std::string str() const;
};

/// An OCI runtime by command line, as runc and crun have it. Its output is not trusted: bounded, and cleaned before it
/// is shown. No command runs for longer than `deadline`: it is killed then.
/// Thread: any that may wait; immutable.
class OciRuntime {
public:
    /// `program`: a path, or a name that is looked up in PATH at every use, so that one that is installed later is
    /// found. `state`: its --root. `systemd_cgroup`: its cgroups are systemd's.
    OciRuntime(std::string program, std::string state, bool systemd_cgroup, const Cancellation& cancellation,
               std::chrono::milliseconds deadline = std::chrono::seconds{30});

    /// Its path; the error says that it is missing, and what to do.
    [[nodiscard]] Result<std::string> path() const;
    /// Asks it for its version and features. Lenient: what it does not tell is empty; an error only where it does not
    /// run.
    [[nodiscard]] Result<RuntimeVersion> probe() const;

    /// Kills what is left of a container and makes the runtime forget it. One that it does not know is no error.
    [[nodiscard]] Result<bool> remove(const std::string& id) const;
    /// "running", "stopped" …; empty: it does not know the container.
    [[nodiscard]] Result<std::string> state(const std::string& id) const;

private:
    [[nodiscard]] Result<std::string> run(const std::vector<std::string>& arguments) const;
    [[nodiscard]] std::vector<std::string> with_root(std::vector<std::string> command) const;

    const std::string program_;
    const std::string state_;
    const bool systemd_cgroup_;
    const Cancellation& cancellation_;
    const std::chrono::milliseconds deadline_;
};

/// The end of what a program wrote, as one readable line for an error: the last line that is not empty (of JSON log
/// lines their message), without control characters, at most 400 bytes.
[[nodiscard]] std::string last_words(std::string_view output);

}  // namespace brokerd
