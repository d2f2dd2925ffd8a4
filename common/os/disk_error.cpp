#include "common/os/disk_error.h"

#include <fmt/format.h>

#include <cerrno>

#include "common/os/system_error.h"

namespace brokerd {
namespace {

std::string_view remedy(int code) {
    switch (code) {
        case ENOSPC:
            return "; free space on that file system (\"pluginctl prune\" removes what no plugin uses) and try again";
        case EDQUOT:
            return "; raise the quota or free space (\"pluginctl prune\" removes what no plugin uses) and try again";
        case EROFS:
            return "; make that file system writable and try again";
        case EIO:
            return "; the disk is at fault, see the kernel's log";
        case EMFILE:
        case ENFILE:
            return "; too many files are open, try again later or raise the limit";
        case EACCES:
        case EPERM:
            return "; brokerd's state must belong to the user that it runs as";
        default:
            return "";
    }
}

}  // namespace

std::string disk_error(std::string_view operation, std::string_view path, int code) {
    return fmt::format("cannot {} {}: {}{}", operation, path, errno_text(code), remedy(code));
}

}  // namespace brokerd
