#pragma once

#include <sys/inotify.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/os/unique_fd.h"
#include "common/result.h"
#include "daemon/loop/core_loop.h"
#include "daemon/loop/io_source.h"

namespace brokerd {

/// One inotify(7) instance on the core loop. All its watches have the same mask, because the kernel keeps one watch per
/// inode and instance: a second request with another mask would change the first.
/// Thread: the core loop's. The loop outlives it, and it outlives its watches.
class Inotify {
public:
    struct Event {
        int watch;              ///< the descriptor that Watch::descriptor() gave; -1 with IN_Q_OVERFLOW
        std::uint32_t mask;     ///< IN_…
        std::string_view name;  ///< the entry; empty for what happened to the directory itself. Valid during the call
    };
    /// Called with what one read(2) returned, in order. Watches that were given up meanwhile may still occur in it.
    /// It must not destroy the Inotify.
    using OnEvents = std::function<void(const std::vector<Event>& events)>;

    /// Keeps the watch on one inode while it lives. Several of them may be for the same inode: they share a descriptor.
    class Watch {
    public:
        Watch() noexcept = default;
        Watch(Watch&& other) noexcept
            : owner_{std::exchange(other.owner_, nullptr)}, descriptor_{std::exchange(other.descriptor_, -1)} {}
        Watch& operator=(Watch&& other) noexcept {
            std::swap(owner_, other.owner_);
            std::swap(descriptor_, other.descriptor_);
            return *this;
        }
        Watch(const Watch&) = delete;
        Watch& operator=(const Watch&) = delete;
        ~Watch() {
            if (owner_ != nullptr) owner_->release(descriptor_);
        }

        /// The same for the same inode; -1 for a default-constructed watch. Numbers of dead watches do not come again.
        [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

    private:
        friend class Inotify;
        Watch(Inotify& owner, int descriptor) noexcept : owner_{&owner}, descriptor_{descriptor} {}

        Inotify* owner_ = nullptr;
        int descriptor_ = -1;
    };

    /// Throws std::system_error where there are no more inotify instances (fs.inotify.max_user_instances).
    Inotify(CoreLoop& loop, std::uint32_t mask, OnEvents on_events);
    ~Inotify();
    Inotify(const Inotify&) = delete;
    Inotify& operator=(const Inotify&) = delete;

    /// Watches what `path` is now. no_space_on_device means that fs.inotify.max_user_watches is used up.
    [[nodiscard]] Result<Watch, std::error_code> watch(const std::string& path);

private:
    void read_events();
    void release(int descriptor) noexcept;

    std::uint32_t mask_;
    OnEvents on_events_;
    UniqueFd fd_;
    std::unordered_map<int, unsigned> uses_;  ///< by descriptor; not there once the kernel has dropped the watch
    IoSource source_;
};

}  // namespace brokerd
