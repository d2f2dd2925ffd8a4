#pragma once

#include <cerrno>

namespace brokerd {

/// What a system call gives once no signal interrupts it.
template <class Call>
auto uninterrupted(Call call) {
    auto result = call();
    while (result == -1 && errno == EINTR) result = call();
    return result;
}

}  // namespace brokerd
