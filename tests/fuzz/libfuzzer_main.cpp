#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/targets.h"

namespace {

/// libFuzzer keeps the command line for itself, so that the environment says which target is meant.
const brokerd::fuzz::Target& chosen() {
    const char* const name = std::getenv("BROKERD_FUZZ_TARGET");
    const auto* const target = brokerd::fuzz::find_target(name == nullptr ? "" : name);
    if (target == nullptr) {
        std::fprintf(stderr, "BROKERD_FUZZ_TARGET must name a target (tests/fuzz/targets)\n");
        std::exit(2);
    }
    return *target;
}

}  // namespace

/// What libFuzzer calls for each input that it makes. The input's memory ends where the input ends.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    static const brokerd::fuzz::Target& target = chosen();
    target.try_input({reinterpret_cast<const char*>(bytes), size});
    return 0;
}
