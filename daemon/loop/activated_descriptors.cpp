#include "daemon/loop/activated_descriptors.h"

#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <utility>

namespace brokerd {

ActivatedDescriptors::ActivatedDescriptors() {
    char** names = nullptr;
    const int count = sd_listen_fds_with_names(1, &names);
    for (int i = 0; i < count; ++i)
        left_.push_back({names != nullptr && names[i] != nullptr ? names[i] : "", UniqueFd{SD_LISTEN_FDS_START + i}});
    for (char** name = names; name != nullptr && *name != nullptr; ++name) std::free(*name);
    std::free(names);
}

UniqueFd ActivatedDescriptors::take(const std::function<bool(const Descriptor&)>& wanted) {
    const auto found = std::find_if(left_.begin(), left_.end(), wanted);
    if (found == left_.end()) return UniqueFd{};
    UniqueFd taken = std::move(found->fd);
    left_.erase(found);
    return taken;
}

std::vector<ActivatedDescriptors::Descriptor> ActivatedDescriptors::take_all(const std::string& prefix) {
    const auto first = std::stable_partition(
        left_.begin(), left_.end(), [&](const Descriptor& descriptor) { return !descriptor.name.starts_with(prefix); });
    std::vector<Descriptor> taken{std::make_move_iterator(first), std::make_move_iterator(left_.end())};
    left_.erase(first, left_.end());
    return taken;
}

}  // namespace brokerd
