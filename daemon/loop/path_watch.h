#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/endpoint.h"
#include "daemon/loop/core_loop.h"

namespace brokerd {

/// Tells when something happens to single paths (created, moved in or away, deleted, attributes changed), also where
/// their directories do not exist yet. For a Unix endpoint: its socket has appeared, or has been replaced.
/// May tell more often than something happened, never less; after an inotify overflow it tells every watcher.
/// Follows symbolic links, at the end of the path (unless told not to) and on the way to it: a change of a link or of
/// its target is told.
/// The one thing that inotify cannot see is a file system that is mounted over a directory on the way.
/// Thread: the core loop's. The loop outlives it.
class PathWatch {
public:
    /// Ends its watch when destroyed; the callback may do that.
    class Watch {
    public:
        virtual ~Watch() = default;
    };

    /// Whether a file that was written to, and closed, is something that happened.
    enum class Contents { ignored, watched };

    explicit PathWatch(CoreLoop& loop, Contents contents = Contents::ignored);
    ~PathWatch();
    PathWatch(const PathWatch&) = delete;
    PathWatch& operator=(const PathWatch&) = delete;

    /// `path` is absolute. Several watches may share a path. The PathWatch outlives the returned object.
    /// `links`: about what lies at `path` itself.
    [[nodiscard]] std::unique_ptr<Watch> watch(const std::string& path, std::function<void()> changed,
                                               Endpoint::Links links = Endpoint::Links::followed);

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace brokerd
