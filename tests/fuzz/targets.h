#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace brokerd::fuzz {

/// A parser, and the rules that hold for whatever it is given: targets/NAME.cpp.
struct Target {
    std::string_view name;
    std::size_t damaged;  ///< inputs that the short run makes of the seeds: about half a second in an ordinary build
    void (*try_input)(std::string_view input);
};

/// All of them, by name.
[[nodiscard]] std::span<const Target> targets();
/// Null where there is none of that name.
[[nodiscard]] const Target* find_target(std::string_view name);

}  // namespace brokerd::fuzz
