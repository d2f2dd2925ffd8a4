#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

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

/// The input that is being tried, in the file that BROKERD_FUZZ_INPUT names. libFuzzer itself cannot write it down
/// where it fails on a thread with a root of its own, nor where the process is killed.
class InputInWork {
public:
    InputInWork() {
        const char* const path = std::getenv("BROKERD_FUZZ_INPUT");
        if (path == nullptr) return;
        const int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (file < 0 || ftruncate(file, sizeof(Shared)) != 0) return;
        void* const mapped = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (mapped != MAP_FAILED) shared_ = static_cast<Shared*>(mapped);
        close(file);
    }

    void set(const std::uint8_t* bytes, std::size_t size) noexcept {
        if (shared_ == nullptr || size > sizeof(shared_->bytes)) return;
        shared_->size = size;
        if (size > 0) std::memcpy(shared_->bytes, bytes, size);
    }

private:
    struct Shared {
        std::uint64_t size;
        std::uint8_t bytes[std::size_t{1} << 20];
    };
    Shared* shared_ = nullptr;
};

}  // namespace

/// What libFuzzer calls for each input that it makes. The input's memory ends where the input ends.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    static const brokerd::fuzz::Target& target = chosen();
    static InputInWork in_work;
    in_work.set(bytes, size);
    target.try_input({reinterpret_cast<const char*>(bytes), size});
    return 0;
}
