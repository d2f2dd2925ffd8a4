#pragma once

#include <functional>
#include <memory>
#include <string>

#include "daemon/loop/core_loop.h"

namespace brokerd {

/// Tells when something happens to single paths (created, moved in or away, deleted, attributes changed), also where
/// their directories do not exist yet. For a Unix endpoint: its socket has appeared, or has been replaced.
/// May tell more often than something happened, never less; after an inotify overflow it tells every watcher.
/// Thread: the core loop's. The loop outlives it.
class PathWatch {
public:
    /// Ends its watch when destroyed; the callback may do that.
    class Watch {
    public:
        virtual ~Watch() = default;
    };

    explicit PathWatch(CoreLoop& loop);
    ~PathWatch();
    PathWatch(const PathWatch&) = delete;
    PathWatch& operator=(const PathWatch&) = delete;

    /// `path` is absolute. Several watches may share a path. The PathWatch outlives the returned object.
    [[nodiscard]] std::unique_ptr<Watch> watch(const std::string& path, std::function<void()> changed);

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace brokerd
