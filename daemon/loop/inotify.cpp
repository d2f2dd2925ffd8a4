#include "daemon/loop/inotify.h"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "common/os/system_error.h"

namespace brokerd {
namespace {

/// Ours: about 2 000 events with short names. One read per turn of the loop, so that a flood does not starve others.
constexpr std::size_t kBufferBytes = std::size_t{64} << 10;

UniqueFd open_inotify() {
    UniqueFd fd{inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
    if (!fd) throw_errno("inotify_init1 (see fs.inotify.max_user_instances)");
    return fd;
}

}  // namespace

Inotify::Inotify(CoreLoop& loop, std::uint32_t mask, OnEvents on_events)
    : mask_{mask},
      on_events_{std::move(on_events)},
      fd_{open_inotify()},
      source_{loop, fd_.get(), EPOLLIN, [this](std::uint32_t) { read_events(); }} {}

Inotify::~Inotify() = default;

Result<Inotify::Watch, std::error_code> Inotify::watch(const std::string& path) {
    const int descriptor = inotify_add_watch(fd_.get(), path.c_str(), mask_);
    if (descriptor < 0) return fail(std::error_code{errno, std::generic_category()});
    ++uses_[descriptor];
    return Watch{*this, descriptor};
}

void Inotify::release(int descriptor) noexcept {
    const auto use = uses_.find(descriptor);
    if (use == uses_.end() || --use->second > 0) return;
    uses_.erase(use);
    // It may be gone already, with its inode, and the event that says so still be queued.
    [[maybe_unused]] const int ignored = inotify_rm_watch(fd_.get(), descriptor);
}

void Inotify::read_events() {
    alignas(inotify_event) std::array<char, kBufferBytes> buffer;
    const ssize_t bytes = ::read(fd_.get(), buffer.data(), buffer.size());
    if (bytes < 0) {
        if (errno == EAGAIN || errno == EINTR) return;
        throw_errno("read from inotify");
    }
    std::vector<Event> events;
    for (std::size_t at = 0; at + sizeof(inotify_event) <= static_cast<std::size_t>(bytes);) {
        inotify_event head{};
        std::memcpy(&head, buffer.data() + at, sizeof head);
        const char* const name = buffer.data() + at + sizeof head;
        // The kernel pads names with zeros.
        events.push_back({head.wd, head.mask, std::string_view{name, strnlen(name, head.len)}});
        if ((head.mask & IN_IGNORED) != 0) uses_.erase(head.wd);
        at += sizeof head + head.len;
    }
    on_events_(events);
}

}  // namespace brokerd
