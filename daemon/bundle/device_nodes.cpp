#include "daemon/bundle/device_nodes.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include "common/os/system_error.h"

namespace brokerd {
namespace {

/// The node that `status` tells of, if it is one.
std::optional<DeviceNode> node_of(const struct stat& status, std::string path) {
    if (!S_ISCHR(status.st_mode) && !S_ISBLK(status.st_mode)) return std::nullopt;
    DeviceNode node;
    node.path = std::move(path);
    node.type = S_ISCHR(status.st_mode) ? 'c' : 'b';
    node.major = major(status.st_rdev);
    node.minor = minor(status.st_rdev);
    node.mode = status.st_mode & 07777;
    node.uid = status.st_uid;
    node.gid = status.st_gid;
    return node;
}

Result<std::vector<DeviceNode>> nodes_below(const std::string& path) {
    namespace fs = std::filesystem;
    std::vector<DeviceNode> nodes;
    std::error_code error;
    const auto options = fs::directory_options::skip_permission_denied;
    std::size_t looked_at = 0;
    for (fs::recursive_directory_iterator entry{path, options, error}; !error && entry != fs::end(entry);
         entry.increment(error)) {
        if (++looked_at > kMaxDeviceNodes) {
            return fail(fmt::format("it is a directory with more than {} files; grant the devices one by one",
                                    kMaxDeviceNodes));
        }
        struct stat status {};
        if (::lstat(entry->path().c_str(), &status) != 0) continue;  // gone meanwhile
        if (auto node = node_of(status, entry->path().string())) nodes.push_back(*std::move(node));
    }
    if (error) return fail(fmt::format("its directory cannot be read: {}", error.message()));
    if (nodes.empty()) return fail("it is a directory without a device");
    std::sort(nodes.begin(), nodes.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
    return nodes;
}

}  // namespace

Result<std::vector<DeviceNode>> device_nodes(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        return fail(errno == ENOENT ? std::string{"it does not exist on this host"} : errno_text(errno));
    }
    if (auto node = node_of(status, path)) return std::vector{*std::move(node)};
    if (S_ISDIR(status.st_mode)) return nodes_below(path);
    return fail("it is neither a device nor a directory of devices");
}

}  // namespace brokerd
