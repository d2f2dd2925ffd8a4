#include "daemon/core/leases.h"

#include <fmt/format.h>

#include "common/os/process_facts.h"

namespace brokerd {

Result<Leases::Lease> Leases::take(const std::string& plugin, LeaseHolder holder) {
    const auto found = plugins_.find(plugin);
    if (found != plugins_.end() && found->second.size() >= kMaxPerPlugin) {
        return fail(
            fmt::format("plugin {} has {} leases, which is as many as one may have; first end some of the "
                        "connections that hold them (\"pluginctl inspect {}\" shows who does)",
                        plugin, kMaxPerPlugin, plugin));
    }
    const std::uint64_t number = ++last_number_;
    plugins_[plugin].emplace(number, std::move(holder));
    return Lease{*this, plugin, number};
}

std::vector<LeaseHolder> Leases::holders(const std::string& plugin) const {
    std::vector<LeaseHolder> holders;
    const auto found = plugins_.find(plugin);
    if (found == plugins_.end()) return holders;
    holders.reserve(found->second.size());
    for (const auto& [number, holder] : found->second) holders.push_back(holder);
    return holders;
}

void Leases::give_back(const std::string& plugin, std::uint64_t number) noexcept {
    const auto found = plugins_.find(plugin);  // there is one: the lease that is given back
    found->second.erase(number);
    if (found->second.empty()) plugins_.erase(found);
}

std::string to_text(const LeaseHolder& holder) {
    return process_label(holder.pid, holder.command);
}

}  // namespace brokerd
