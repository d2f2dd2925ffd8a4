#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/result.h"

namespace brokerd {

/// From a managed plugin's view of its files to the host's. A plugin tells where it has mounted a volume as it sees the
/// place; engines need to know where that is on the host. Docker's own engine does the same for the plugins that it
/// runs; here it happens on the way to the engine. Immutable, any thread.
struct PathRewrite {
    std::string propagated_mount;       ///< inside the plugin; empty: it has none
    std::string host_propagated_mount;  ///< where that is on the host
    std::string host_rootfs;

    /// Where `inside` is on the host. It is taken apart first, name by name, as if it began at the plugin's root:
    /// whatever it says, the result is at or below host_propagated_mount or host_rootfs. (Only by its text: the files
    /// themselves are not looked at, which could hang. A symbolic link that a plugin leaves there is followed by
    /// whoever uses the path, as with Docker's own engine.)
    [[nodiscard]] std::string to_host(std::string_view inside) const;
};

/// Whether answers to a request for `path` ("/VolumeDriver.Mount") tell paths: Mount, Path, Get and List of
/// VolumeDriver (Docker Plugin API, "Volume plugin protocol").
[[nodiscard]] bool answer_tells_paths(std::string_view path) noexcept;

/// Ours: an answer that tells paths is held whole; a list of ten thousand volumes is one of 2 MiB.
inline constexpr std::size_t kMaxPathsAnswer = std::size_t{4} << 20;

/// `body`, the answer to such a request, with each Mountpoint as the host sees it: at the top, in Volume, and in each
/// of Volumes, the names compared as Go compares them. Empty ones and null stay; all else in it stays as it is, but for
/// blanks and the notation of text. The error is why the body cannot be handed on: it is no JSON object, or a
/// Mountpoint is no text; it completes a sentence that begins with the plugin's answer.
[[nodiscard]] Result<std::string> rewrite_mountpoints(const PathRewrite& paths, std::string_view body);

}  // namespace brokerd
