#include "daemon/control/control_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "common/os/system_error.h"

namespace brokerd {
namespace {

Failure<Error> cannot(std::string_view what, const std::string& path) {
    return fail(fmt::format("cannot {} the control socket {}: {}", what, path, errno_text(errno)));
}

/// What stands in the way at `path`, and has to stay; empty where nothing does. A dead socket is removed.
std::optional<Error> make_room(const std::string& path, const sockaddr_un& address) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return std::nullopt;
        return cannot("look at", path).error;
    }
    if (!S_ISSOCK(status.st_mode)) {
        return Error{
            fmt::format("{} exists and is not a socket: move it away, or give another --control-socket", path)};
    }
    const UniqueFd probe{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!probe) return cannot("examine", path).error;
    // EAGAIN: somebody listens whose backlog is full.
    if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN) {
        return Error{
            fmt::format("somebody answers on {} already: stop the other brokerd (systemctl stop brokerd.socket "
                        "brokerd.service), or "
                        "give another --control-socket",
                        path)};
    }
    if (errno != ECONNREFUSED) return cannot("examine", path).error;
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return cannot("remove the stale", path).error;
    return std::nullopt;
}

}  // namespace

Result<UniqueFd> bind_control_socket(const std::string& path, std::optional<gid_t> group) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) {
        return fail(
            fmt::format("the control socket's path \"{}\" must have 1 to {} bytes", path, sizeof address.sun_path - 1));
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    if (const auto obstacle = make_room(path, address)) return fail(*obstacle);

    UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!socket) return cannot("make", path);
    // The file takes its mode from the socket at bind(), less the umask: so it is never wider than this. Nobody can
    // connect before listen(), when owner and mode are final.
    if (::fchmod(socket.get(), 0600) != 0) return cannot("protect", path);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return cannot("bind", path);
    const auto fail_and_remove = [&path](std::string_view what) {
        auto failure = cannot(what, path);
        ::unlink(path.c_str());
        return failure;
    };
    if (group && ::lchown(path.c_str(), static_cast<uid_t>(-1), *group) != 0) return fail_and_remove("give a group to");
    if (::chmod(path.c_str(), group ? 0660 : 0600) != 0) return fail_and_remove("set the mode of");
    if (::listen(socket.get(), SOMAXCONN) != 0) return fail_and_remove("listen on");
    return socket;
}

UniqueFd take_activated_socket(ActivatedDescriptors& activated, const std::string& path) {
    return activated.take([&](const ActivatedDescriptors::Descriptor& descriptor) {
        const int fd = descriptor.fd.get();
        return sd_is_socket_unix(fd, SOCK_STREAM, 1, nullptr, 0) > 0 &&
               (descriptor.name == "control" || sd_is_socket_unix(fd, SOCK_STREAM, 1, path.c_str(), path.size()) > 0);
    });
}

std::optional<Error> give_to_group(const std::string& path, gid_t group) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return cannot("look at", path).error;
    if (!S_ISSOCK(status.st_mode)) return Error{fmt::format("{} is not a socket", path)};
    if (status.st_gid == group) return std::nullopt;
    if (::lchown(path.c_str(), static_cast<uid_t>(-1), group) != 0) return cannot("give a group to", path).error;
    return std::nullopt;
}

}  // namespace brokerd
