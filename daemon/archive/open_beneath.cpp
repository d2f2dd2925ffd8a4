#include "daemon/archive/open_beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>

namespace brokerd {
namespace {

/// openat2(2): EAGAIN where a rename went on meanwhile; the caller may try again. Bounded, as whoever renames is
/// hostile.
constexpr int kTries = 32;

UniqueFd open_how(int directory, const char* path, int flags, mode_t mode, std::uint64_t resolve) {
    struct open_how how {};
    how.flags = static_cast<__u64>(flags | O_CLOEXEC);
    how.mode = mode;
    how.resolve = resolve;
    for (int tries = 0;; ++tries) {
        const long fd = syscall(SYS_openat2, directory, path, &how, sizeof how);
        if (fd >= 0) return UniqueFd{static_cast<int>(fd)};
        if ((errno != EAGAIN && errno != EINTR) || tries == kTries) return UniqueFd{};
    }
}

}  // namespace

UniqueFd open_in_root(int root, const char* path, int flags, mode_t mode) {
    return open_how(root, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
}

UniqueFd open_entry(int directory, const char* name, int flags) {
    return open_how(directory, name, flags, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
}

}  // namespace brokerd
