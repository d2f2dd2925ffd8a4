#include <csignal>

namespace {

/// As brokerd's main() does, for all tests, whichever is the first: a write to a closed connection is an error, not a
/// signal.
[[gnu::constructor]] void ignore_sigpipe() {
    std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace
