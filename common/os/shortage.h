#pragma once

#include <cerrno>

namespace brokerd {

/// Whether an errno value says that this process or the host has run out of descriptors or memory: that tells nothing of
/// what was to be opened, and passes.
[[nodiscard]] inline bool is_shortage(int code) noexcept {
    return code == EMFILE || code == ENFILE || code == ENOMEM || code == ENOBUFS;
}

}  // namespace brokerd
