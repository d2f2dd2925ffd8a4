#include "cli/output/terminal_size.h"

#include <sys/ioctl.h>

namespace brokerd::cli {

TerminalSize terminal_size(int terminal) {
    winsize size{};
    if (::ioctl(terminal, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return {};
    return {size.ws_row, size.ws_col};
}

}  // namespace brokerd::cli
