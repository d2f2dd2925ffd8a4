#include "cli/output/colours.h"

#include <algorithm>
#include <array>

namespace brokerd::cli {
namespace {

/// Docker's words for a layer that needs nothing more.
constexpr std::array<std::string_view, 5> kDone{"Pull complete", "Download complete", "Already exists",
                                                "Layer already exists", "Pushed"};

}  // namespace

std::string coloured(std::string_view text, Colour colour) {
    const auto with = [&](std::string_view start) {
        std::string out{start};
        out += text;
        return out += "\x1b[0m";
    };
    switch (colour) {
        case Colour::red:
            return with("\x1b[31m");
        case Colour::green:
            return with("\x1b[32m");
        case Colour::yellow:
            return with("\x1b[33m");
        case Colour::none:
            break;
    }
    return std::string{text};
}

Colour colour_of_status(std::string_view status) {
    const std::string_view state = status.substr(0, status.find_first_of(": "));
    if (state == "active" || state == "running") return Colour::green;
    if (state == "failed" || state == "invalid") return Colour::red;
    return state == "unhealthy" || state == "restarting" ? Colour::yellow : Colour::none;
}

Colour colour_of_progress(std::string_view status) {
    return std::find(kDone.begin(), kDone.end(), status) == kDone.end() ? Colour::none : Colour::green;
}

}  // namespace brokerd::cli
