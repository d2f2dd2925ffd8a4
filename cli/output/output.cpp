#include "cli/output/output.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace brokerd::cli {

bool Output::flush() {
    std::string_view rest = pending_;
    while (!rest.empty() && error_ == 0) {
        const ssize_t count = ::write(fd_, rest.data(), rest.size());
        if (count >= 0) {
            rest.remove_prefix(static_cast<std::size_t>(count));
        } else if (errno == EAGAIN) {
            pollfd writable{fd_, POLLOUT, 0};  // a terminal or pipe that somebody else made non-blocking
            ::poll(&writable, 1, -1);
        } else if (errno != EINTR) {
            error_ = errno;
        }
    }
    pending_.clear();
    return error_ == 0;
}

bool Output::is_terminal() const noexcept {
    return ::isatty(fd_) == 1;
}

}  // namespace brokerd::cli
