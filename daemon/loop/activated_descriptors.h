#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/os/unique_fd.h"

namespace brokerd {

/// The descriptors that systemd hands over at the start: sockets of socket units, and what lay in the descriptor store
/// (sd_listen_fds(3)). The environment that announces them is read once and removed. What nobody takes is closed with
/// this object. Construct one, before anything else opens descriptors. Thread: the main thread, before others exist.
class ActivatedDescriptors {
public:
    struct Descriptor {
        std::string name;  ///< FileDescriptorName= of the unit, or FDNAME of the store
        UniqueFd fd;
    };

    ActivatedDescriptors();
    /// As if these had been handed over.
    explicit ActivatedDescriptors(std::vector<Descriptor> given) : left_{std::move(given)} {}

    /// The first that `wanted` says yes to; empty where there is none.
    [[nodiscard]] UniqueFd take(const std::function<bool(const Descriptor&)>& wanted);
    /// All whose name begins with `prefix`.
    [[nodiscard]] std::vector<Descriptor> take_all(const std::string& prefix);

private:
    std::vector<Descriptor> left_;
};

}  // namespace brokerd
