#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/json.h"
#include "common/result.h"

namespace brokerd {

/// Ours: Docker's profile has 25 kB.
inline constexpr std::size_t kMaxSeccompProfile = std::size_t{4} << 20;

/// What a profile's conditions are compared with.
struct SeccompFacts {
    std::vector<std::string> capabilities;   ///< "CAP_SYS_ADMIN": all that the plugin has
    std::string architecture;                ///< "amd64", as Go names it
    std::pair<unsigned, unsigned> kernel{};  ///< version of the running kernel: {6, 1}

    /// Architecture and kernel of this host.
    [[nodiscard]] static SeccompFacts of_host(std::vector<std::string> capabilities);
};

/// A system call filter in the format of Docker's default profile: rules that hold for some capabilities,
/// architectures and kernels (`includes`, `excludes`). brokerd brings none of its own: the host's distribution keeps
/// one up to date with its kernel (package containers-common, which podman needs too).
/// A value, shared by all plugins; any thread.
class SeccompProfile {
public:
    /// Where a profile is looked for, the operator's first.
    [[nodiscard]] static std::vector<std::string> usual_paths();

    /// The first of `paths` that exists, or nothing where none does: then plugins run without a filter, and the caller
    /// tells the operator (no_profile_note). One that exists and cannot be used is an error, and no plugin is started
    /// without a filter because of it. Waits for the disk.
    [[nodiscard]] static Result<std::optional<SeccompProfile>> find(const std::vector<std::string>& paths);
    [[nodiscard]] static Result<SeccompProfile> load(const std::string& path);
    /// `path` is for messages.
    [[nodiscard]] static Result<SeccompProfile> parse(std::string_view text, std::string path);

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    /// Writes the `linux.seccomp` object of an OCI runtime spec: the rules that hold for `facts`. Names of system calls
    /// that the host does not know are left in: runtimes skip them.
    void write(JsonWriter& writer, const SeccompFacts& facts) const;

private:
    struct Argument {
        unsigned index = 0;
        std::uint64_t value = 0;
        std::uint64_t value_two = 0;
        std::string op;
    };
    struct Conditions {
        std::vector<std::string> capabilities;
        std::vector<std::string> architectures;
        std::optional<std::pair<unsigned, unsigned>> least_kernel;
    };
    struct Rule {
        std::vector<std::string> names;
        std::string action;
        std::optional<unsigned> error_number;
        std::vector<Argument> arguments;
        Conditions includes;  ///< all of them hold
        Conditions excludes;  ///< none of them holds
    };
    struct ArchitectureFamily {
        std::string architecture;
        std::vector<std::string> also;
    };
    class Reader;

    [[nodiscard]] static bool holds(const Rule& rule, const SeccompFacts& facts);
    void write_architectures(JsonWriter& writer, const SeccompFacts& facts) const;
    static void write_rule(JsonWriter& writer, const Rule& rule);

    std::string path_;
    std::string default_action_;
    std::optional<unsigned> default_error_number_;
    std::vector<std::string> architectures_;    ///< for profiles that are resolved already
    std::vector<ArchitectureFamily> families_;  ///< `archMap`
    std::vector<std::string> flags_;
    std::vector<Rule> rules_;
};

/// What the operator is told where find() found none: what it means, and what to install.
[[nodiscard]] std::string no_profile_note();

}  // namespace brokerd
