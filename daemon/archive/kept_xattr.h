#pragma once

#include <string_view>

namespace brokerd {

inline constexpr std::string_view kCapabilityXattr = "security.capability";

/// Whether an extended attribute is a plugin's own business, so that it is packed and unpacked. trusted.* and the rest
/// of security.* mean something to the host: overlayfs, SELinux, IMA.
[[nodiscard]] inline bool is_kept_xattr(std::string_view name) {
    return name.starts_with("user.") || name == kCapabilityXattr || name == "system.posix_acl_access" ||
           name == "system.posix_acl_default";
}

}  // namespace brokerd
