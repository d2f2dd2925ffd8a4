#include <fmt/format.h>

#include <cstdlib>
#include <cstring>

#include "common/plugin_name.h"
#include "daemon/supervision/plugin_runner.h"

namespace brokerd {
namespace {

std::string signal_name(int number) {
    const char* name = sigabbrev_np(number);
    return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", number);
}

}  // namespace

std::string PluginExit::how() const {
    switch (kind) {
        case Kind::exited:
            return out_of_memory ? fmt::format("exited with status {} after its memory limit had been reached", status)
                                 : fmt::format("exited with status {}", status);
        case Kind::killed:
            return out_of_memory ? "was killed: its memory limit was reached"
                                 : fmt::format("was killed by {}", signal_name(status));
        case Kind::unknown:
            return out_of_memory ? "ended after its memory limit had been reached" : "ended, nobody saw how";
    }
    std::abort();
}

std::string PluginExit::str() const {
    return last_words.empty() ? how() : fmt::format("{}: {}", how(), escaped(last_words, kShownWords));
}

}  // namespace brokerd
