#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <span>

#include "cli/output/printable.h"
#include "cli/pluginctl.h"

int main(int argc, char** argv) {
    using namespace brokerd::cli;
    std::signal(SIGPIPE, SIG_IGN);  // a reader that leaves is told by write(2), and is no failure
    Output out{STDOUT_FILENO};
    Output err{STDERR_FILENO};
    try {
        const char* host = std::getenv("BROKERD_HOST");  // NOLINT(concurrency-mt-unsafe): no other thread exists
        const std::span<const char* const> all{argv, static_cast<std::size_t>(argc)};
        const Invocation invocation{all.subspan(all.empty() ? 0 : 1), host == nullptr ? "" : host, STDIN_FILENO, out,
                                    err};
        return static_cast<int>(run_pluginctl(invocation));
    } catch (const std::exception& error) {
        err.write("pluginctl: " + printable(error.what()) + "\n");
        err.flush();
        return static_cast<int>(ExitStatus::failed);
    }
}
