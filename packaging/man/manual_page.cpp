#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "cli/help/help_page.h"

/// Prints the manual page that a Markdown file describes. For the build alone.
int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: manual-page FILE.md\n", stderr);
        return 2;
    }
    std::ifstream file{argv[1]};
    const std::string markdown{std::istreambuf_iterator<char>{file}, {}};
    const auto page = brokerd::cli::manual_page(std::string_view{markdown});
    if (!page) {
        std::fprintf(stderr, "%s cannot be read, or does not begin with \"# NAME(SECTION)\"\n", argv[1]);
        return 1;
    }
    return std::fputs(page->c_str(), stdout) < 0 || std::fflush(stdout) != 0 ? 1 : 0;
}
