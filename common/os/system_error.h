#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace brokerd {

/// Throws std::system_error for errno: the operation and the object it failed on, then the system's own words.
[[noreturn]] inline void throw_errno(const std::string& operation) {
    throw std::system_error{errno, std::generic_category(), operation};
}

/// The system's words for an errno value, thread-safe.
[[nodiscard]] inline std::string errno_text(int code) {
    return std::generic_category().message(code);
}

}  // namespace brokerd
