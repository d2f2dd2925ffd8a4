#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace brokerd {

/// Who is at the other end of a Unix connection, as the kernel saw it when the connection was made.
struct PeerCredentials {
    uid_t uid;
    gid_t gid;
    std::vector<gid_t> groups;  ///< supplementary groups

    /// "user 1000 (groups 1000, 27)", for messages.
    [[nodiscard]] std::string describe() const;
};

/// Who may use the control socket. Whoever may is as powerful as root: a plugin is code that runs as root.
struct PeerPolicy {
    uid_t own_uid = 0;                     ///< brokerd's own, so that an unprivileged brokerd serves its user
    std::optional<gid_t> allowed_group{};  ///< the group "brokerd"

    [[nodiscard]] bool allows(const PeerCredentials& peer) const;
};

/// SO_PEERCRED and SO_PEERGROUPS (unix(7)). Throws std::system_error.
[[nodiscard]] PeerCredentials peer_credentials(int connection);

/// The name of a group, or its number where it has no name.
[[nodiscard]] std::string group_name(gid_t group);

}  // namespace brokerd
