#include "daemon/control/peer_credentials.h"

#include <fmt/format.h>
#include <grp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "common/os/system_error.h"

namespace brokerd {
namespace {

std::vector<gid_t> peer_groups(int connection) {
    std::vector<gid_t> groups(32);
    for (;;) {
        auto bytes = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
        if (getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes) == 0) {
            groups.resize(bytes / sizeof(gid_t));
            return groups;
        }
        // With ERANGE the kernel has written the size that it needs.
        if (errno != ERANGE || bytes <= groups.size() * sizeof(gid_t)) throw_errno("getsockopt SO_PEERGROUPS");
        groups.resize(bytes / sizeof(gid_t));
    }
}

}  // namespace

std::string PeerCredentials::describe() const {
    std::vector<gid_t> all{gid};
    std::copy_if(groups.begin(), groups.end(), std::back_inserter(all), [this](gid_t group) { return group != gid; });
    return fmt::format("user {} (groups {})", uid, fmt::join(all, ", "));
}

bool PeerPolicy::allows(const PeerCredentials& peer) const {
    if (peer.uid == 0 || peer.uid == own_uid) return true;
    if (!allowed_group) return false;
    return peer.gid == *allowed_group ||
           std::find(peer.groups.begin(), peer.groups.end(), *allowed_group) != peer.groups.end();
}

PeerCredentials peer_credentials(int connection) {
    ucred credentials{};
    socklen_t bytes = sizeof credentials;
    if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0)
        throw_errno("getsockopt SO_PEERCRED");
    return {credentials.uid, credentials.gid, peer_groups(connection)};
}

std::string group_name(gid_t group) {
    std::array<char, 16384> buffer{};
    struct group entry {};
    struct group* found = nullptr;
    if (getgrgid_r(group, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return entry.gr_name;
    return std::to_string(group);
}

}  // namespace brokerd
