#pragma once

#include <fcntl.h>
#include <sys/resource.h>

#include "common/os/unique_fd.h"

namespace brokerd::test {

/// From here on the process gets no more descriptors, until the end of this.
class NoMoreDescriptors {
public:
    NoMoreDescriptors() {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        const UniqueFd free{::fcntl(0, F_DUPFD_CLOEXEC, 0)};
        const rlimit none{static_cast<rlim_t>(free.get()), before_.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &none);
    }
    ~NoMoreDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    NoMoreDescriptors(const NoMoreDescriptors&) = delete;
    NoMoreDescriptors& operator=(const NoMoreDescriptors&) = delete;

private:
    rlimit before_{};
};

}  // namespace brokerd::test
