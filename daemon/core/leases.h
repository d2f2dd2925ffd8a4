#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/plugin_view.h"
#include "common/result.h"

namespace brokerd {

/// Who claims to use which plugin (DESIGN.md section 2). A lease keeps an operator from stopping a plugin under its
/// user without being told; it keeps nothing running by itself, and it may outlive a plugin that was forced away.
/// Kept in memory only: whoever takes a lease holds it for as long as it can be seen to be there.
/// Thread: the core loop's.
class Leases {
public:
    /// Ours: many times the engines of a host; what is listed and copied stays small.
    static constexpr std::size_t kMaxPerPlugin = 1024;

    /// Gives the lease back when destroyed. Leases outlives it.
    class Lease {
    public:
        Lease(Lease&& other) noexcept
            : leases_{std::exchange(other.leases_, nullptr)},
              plugin_{std::move(other.plugin_)},
              number_{other.number_} {}
        Lease& operator=(Lease&&) = delete;
        ~Lease() {
            if (leases_ != nullptr) leases_->give_back(plugin_, number_);
        }

    private:
        friend class Leases;
        Lease(Leases& leases, std::string plugin, std::uint64_t number) noexcept
            : leases_{&leases}, plugin_{std::move(plugin)}, number_{number} {}

        Leases* leases_;
        std::string plugin_;
        std::uint64_t number_;
    };

    /// `plugin` is the name that PluginView has: of a managed one with its tag ("vieux/sshfs:latest"). The error says
    /// that there are too many.
    [[nodiscard]] Result<Lease> take(const std::string& plugin, LeaseHolder holder);

    /// In the order of taking.
    [[nodiscard]] std::vector<LeaseHolder> holders(const std::string& plugin) const;

private:
    using Holders = std::map<std::uint64_t, LeaseHolder>;

    void give_back(const std::string& plugin, std::uint64_t number) noexcept;

    std::map<std::string, Holders> plugins_;  ///< none of them empty
    std::uint64_t last_number_ = 0;
};

/// "dockerd (pid 123)": a few words for a sentence.
[[nodiscard]] std::string to_text(const LeaseHolder& holder);

}  // namespace brokerd
