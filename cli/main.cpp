#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <span>
#include <string>

#include "cli/output/printable.h"
#include "cli/pluginctl.h"

namespace brokerd::cli {
namespace {

/// Empty where it is not set.
std::string environment(const char* name) {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): no other thread exists
    return value == nullptr ? "" : value;
}

/// Where docker keeps its config.json.
std::string docker_config() {
    std::string directory = environment("DOCKER_CONFIG");
    if (!directory.empty()) return directory;
    const std::string home = environment("HOME");
    return home.empty() ? home : home + "/.docker";
}

/// Whoever started us may have closed standard streams (`<&-`, `>&-`). The next descriptor that is opened would take
/// such a place: a socket to brokerd would be "standard output". For reading only, so that input has an end, and output
/// that nobody gets is a failure.
void occupy_standard_streams() {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
        // The lowest free number, which is this one: those below are taken.
        if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDONLY) != fd)
            std::_Exit(static_cast<int>(ExitStatus::failed));
    }
}

/// As no-color.org has it; a terminal that calls itself dumb knows none.
bool wants_colours() {
    return environment("NO_COLOR").empty() && environment("TERM") != "dumb";
}

}  // namespace
}  // namespace brokerd::cli

int main(int argc, char** argv) {
    using namespace brokerd::cli;
    occupy_standard_streams();
    std::signal(SIGPIPE, SIG_IGN);  // a reader that leaves is told by write(2), and is no failure
    const bool colours = wants_colours();
    Output out{STDOUT_FILENO, colours};
    Output err{STDERR_FILENO, colours};
    try {
        const std::span<const char* const> all{argv, static_cast<std::size_t>(argc)};
        const Invocation invocation{
            all.subspan(all.empty() ? 0 : 1), environment("BROKERD_HOST"), STDIN_FILENO, out, err, docker_config()};
        return static_cast<int>(run_pluginctl(invocation));
    } catch (const std::exception& error) {
        err.write("pluginctl: " + printable(error.what()) + "\n");
        err.flush();
        return static_cast<int>(ExitStatus::failed);
    }
}
