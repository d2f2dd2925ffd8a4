#include "cli/output/screen.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <string_view>

#include "cli/output/printable.h"
#include "cli/output/terminal_size.h"

namespace brokerd::cli {
namespace {

/// `lines` from the top left corner, each with the rest of its line cleared, and what is below, too: the picture is
/// never empty in between, so it does not flicker. A line that wrapped would push the others out of place.
std::string in_place(std::string_view lines, TerminalSize size) {
    const auto total = static_cast<std::size_t>(std::count(lines.begin(), lines.end(), '\n'));
    const bool fits = total < size.rows;
    const std::size_t shown = fits ? total : std::max<std::size_t>(size.rows, 3) - 2;
    std::string out = "\x1b[H";
    for (std::size_t i = 0; i < shown; ++i) {
        const std::size_t end = lines.find('\n');
        out += shortened(lines.substr(0, end), size.columns) + "\x1b[K\n";
        lines.remove_prefix(end + 1);
    }
    if (!fits) out += fmt::format("… and {} more\x1b[K\n", total - shown);
    return out + "\x1b[J";
}

}  // namespace

bool Screen::show(const std::string& lines) {
    if (in_place_) {
        if (first_) out_.write("\x1b[2J");
        out_.write(in_place(lines, terminal_size(out_.fd())));
    } else {
        out_.write(lines);
    }
    first_ = false;
    return out_.flush();
}

bool Screen::wait(std::chrono::milliseconds time) const {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + time;
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
        if (left.count() <= 0) return true;
        pollfd reader{out_.fd(), 0, 0};  // POLLERR and POLLHUP are told without being asked for
        const int ready = ::poll(&reader, 1, static_cast<int>(left.count()));
        if (ready == 0 || (ready < 0 && errno != EINTR)) return true;
        if (ready > 0) return false;
    }
}

}  // namespace brokerd::cli
