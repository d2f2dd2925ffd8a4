#include "daemon/proxy/kept_sockets.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/os/socket_path.h"
#include "daemon/loop/log.h"
#include "daemon/proxy/descriptor_store.h"

// How a descriptor that comes back is known to be the file's: by the file's number, noted in its name when it was
// stored. A bound socket holds its inode, so the number cannot belong to another file while the socket lives. (Asking
// the kernel for the file of a socket takes SIOCUNIXFILE and with it CAP_NET_ADMIN.)

namespace brokerd {
namespace {

constexpr std::string_view kPrefix = "published/";

int socket_option(int socket, int option) {
    int value = -1;
    socklen_t size = sizeof value;
    return ::getsockopt(socket, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

/// Whether it is a listening Unix stream socket, bound to `path`.
bool listens_at(int socket, const std::string& path) {
    return !path.empty() && socket_path(socket) == path && socket_option(socket, SO_TYPE) == SOCK_STREAM &&
           socket_option(socket, SO_ACCEPTCONN) == 1;
}

/// Reads a number in hexadecimal off the front of `text`, with the `end` behind it.
std::optional<std::uint64_t> take_number(std::string_view& text, char end) {
    std::uint64_t number = 0;
    const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
    if (code != std::errc{} || stop == text.data() + text.size() || *stop != end) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()) + 1);
    return number;
}

}  // namespace

// ':' separates the names that systemd hands over; no plugin's name has a '%'.
std::optional<std::string> KeptSockets::store_name(const PluginName& name, const struct stat& file) {
    std::string text = fmt::format("{}{:x}-{:x}/{}", kPrefix, file.st_dev, file.st_ino, name.str());
    std::replace(text.begin(), text.end(), ':', '%');
    if (text.size() > kMaxStoreName) return std::nullopt;
    return text;
}

std::optional<std::pair<std::string, KeptSockets::Kept>> KeptSockets::parse(std::string_view store_name) {
    std::string_view rest = store_name.substr(kPrefix.size());
    const auto device = take_number(rest, '-');
    const auto inode = device ? take_number(rest, '/') : std::nullopt;
    if (!inode) return std::nullopt;
    std::string text{rest};
    std::replace(text.begin(), text.end(), '%', ':');
    const auto name = PluginName::parse(text);
    if (!name) return std::nullopt;
    return std::pair{name->str(), Kept{UniqueFd{}, std::string{store_name}, *device, *inode}};
}

KeptSockets::KeptSockets(ActivatedDescriptors& activated) {
    for (auto& [store_name, socket] : activated.take_all(std::string{kPrefix})) {
        auto parsed = parse(store_name);
        if (!parsed) {
            log_warning("removing {} from systemd's descriptor store: it is none of brokerd's names",
                        escaped(store_name));
            remove_from_store(store_name);
            continue;
        }
        parsed->second.socket = std::move(socket);
        untaken_.insert(std::move(*parsed));
    }
}

std::set<std::pair<dev_t, ino_t>> KeptSockets::files(const std::string& directory) const {
    std::set<std::pair<dev_t, ino_t>> files;
    for (const auto& [name, kept] : untaken_) {
        if (listens_at(kept.socket.get(), fmt::format("{}/{}.sock", directory, name)))
            files.emplace(kept.device, kept.inode);
    }
    return files;
}

UniqueFd KeptSockets::take(const PluginName& name, const std::string& path) {
    struct stat file {};
    const bool is_there = ::lstat(path.c_str(), &file) == 0 && S_ISSOCK(file.st_mode);
    UniqueFd taken;
    const auto [first, last] = untaken_.equal_range(name.str());
    for (auto found = first; found != last; ++found) {
        Kept& kept = found->second;
        const bool is_its_file = is_there && file.st_dev == kept.device && file.st_ino == kept.inode;
        if (!taken && is_its_file && listens_at(kept.socket.get(), path)) {
            ::fcntl(kept.socket.get(), F_SETFL, O_NONBLOCK);
            stored_.insert_or_assign(name.str(), kept.store_name);
            taken = std::move(kept.socket);
        } else {
            log_info("plugin {}: a socket from systemd's descriptor store is not the one at {}", name.str(), path);
            remove_from_store(kept.store_name);
        }
    }
    untaken_.erase(first, last);
    return taken;
}

void KeptSockets::keep(const PluginName& name, int listener, const struct stat& file) {
    forget(name);
    auto stored = store_name(name, file);
    if (!stored) return;
    store_descriptor(*stored, listener);
    stored_.insert_or_assign(name.str(), *std::move(stored));
}

void KeptSockets::forget(const PluginName& name) {
    auto node = stored_.extract(name.str());
    if (!node.empty()) remove_from_store(node.mapped());
}

void KeptSockets::forget_untaken() {
    for (const auto& [name, kept] : untaken_) remove_from_store(kept.store_name);
    untaken_.clear();
}

}  // namespace brokerd
