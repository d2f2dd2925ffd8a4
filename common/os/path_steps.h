#pragma once

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <string>
#include <string_view>

namespace brokerd {

// For whoever follows a path step by step, as the kernel does. Thread: any.

/// path_resolution(7): the kernel gives up after 40 links as well.
inline constexpr unsigned kMaxLinks = 40;

/// The names in `path`, without empty ones and ".".
[[nodiscard]] inline std::deque<std::string> path_components(std::string_view path) {
    std::deque<std::string> parts;
    for (std::size_t start = 0; start < path.size();) {
        const std::size_t end = std::min(path.find('/', start), path.size());
        const std::string_view part = path.substr(start, end - start);
        if (!part.empty() && part != ".") parts.emplace_back(part);
        start = end + 1;
    }
    return parts;
}

/// Where the link at `path` leads; empty where there is none, or it cannot be read.
[[nodiscard]] inline std::string link_target(const std::string& path) {
    std::array<char, PATH_MAX> target{};
    const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
    return length < 0 ? std::string{} : std::string{target.data(), static_cast<std::size_t>(length)};
}

}  // namespace brokerd
