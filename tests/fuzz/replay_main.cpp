// The short run: every seed and every regression input, and some damaged forms of each, in the ordinary build and with
// any compiler. What it does is the same in each run, whatever the machine: it counts executions, not seconds.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/checks.h"
#include "tests/fuzz/targets.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#include <sanitizer/common_interface_defs.h>
#define BROKERD_FUZZ_SANITIZED 1
#else
#define BROKERD_FUZZ_SANITIZED 0
#endif

namespace {

using brokerd::fuzz::Cuts;
using brokerd::fuzz::Target;

constexpr const char* kFailedInput = "failed-input";
constexpr std::size_t kSlowdown = BROKERD_FUZZ_SANITIZED ? 10 : 1;

/// The input in progress, for the handlers of signals and sanitizers, which nobody can hand anything to.
std::string_view current;  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

/// Leaves the input in progress in a file. Calls nothing but system calls.
void keep_input() {
    const int file = open(kFailedInput, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    const bool kept = file >= 0 && write(file, current.data(), current.size()) >= 0;
    const std::string_view words = kept ? "the input is in the file failed-input\n" : "the input is lost\n";
    static_cast<void>(!write(STDERR_FILENO, words.data(), words.size()));
}

void on_signal(int number) {
    std::signal(number, SIG_DFL);
    keep_input();
    std::raise(number);
}

void keep_input_of_crashes() {
    for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(number, on_signal);
#if BROKERD_FUZZ_SANITIZED
    __sanitizer_set_death_callback(keep_input);
#endif
}

void try_bytes(const Target& target, const std::string& bytes) {
    // A copy that ends where the input ends: no spare room, no zero behind it.
    const auto copy = std::make_unique<char[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), copy.get());
    current = {copy.get(), bytes.size()};
    target.try_input(current);
    current = {};
}

/// A few damages, of the kinds that have found bugs in parsers: bytes changed, taken out, repeated, brought in from
/// `other`, and the end cut off.
std::string damaged(std::string bytes, const std::string& other, Cuts& choice) {
    using namespace std::string_view_literals;
    static constexpr auto kTelling = "\0\x01\x7f\x80\xff\r\n \t\"\\/:;,.{}[]<>%&=+-0179aAzZ"sv;
    for (std::size_t left = 1 + choice.below(4); left > 0; --left) {
        const std::size_t at = choice.below(bytes.size() + 1);
        const std::size_t count = std::min(bytes.size() - at, choice.next(64));
        switch (choice.below(7)) {
            case 0:
                bytes.insert(at, 1, kTelling[choice.below(kTelling.size())]);
                break;
            case 1:
                if (at < bytes.size()) bytes[at] = kTelling[choice.below(kTelling.size())];
                break;
            case 2:
                if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << choice.below(8)));
                break;
            case 3:
                bytes.erase(at, count);
                break;
            case 4:
                bytes.insert(at, bytes.substr(at, count));
                break;
            case 5:
                if (!other.empty()) bytes.replace(at, count, other, choice.below(other.size()), choice.next(64));
                break;
            default:
                bytes.resize(at);
        }
    }
    return bytes;
}

std::vector<std::string> read_inputs(const std::vector<std::string>& directories) {
    std::vector<std::filesystem::path> files;
    for (const std::string& directory : directories) {
        if (std::filesystem::is_regular_file(directory)) files.emplace_back(directory);
        if (!std::filesystem::is_directory(directory)) continue;
        for (const auto& entry : std::filesystem::directory_iterator{directory}) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    std::vector<std::string> inputs;
    for (const auto& file : files) {
        std::ifstream stream{file, std::ios::binary};
        inputs.emplace_back(std::istreambuf_iterator<char>{stream}, std::istreambuf_iterator<char>{});
    }
    return inputs;
}

}  // namespace

/// Arguments: a target, and the directories (which need not exist) of its inputs, or one file that holds one.
int main(int argc, char** argv) {
    const auto* const target = argc < 3 ? nullptr : brokerd::fuzz::find_target(argv[1]);
    if (target == nullptr) {
        std::fprintf(stderr, "usage: %s TARGET DIRECTORY…, or %s TARGET FILE; targets are\n", argv[0], argv[0]);
        for (const auto& each : brokerd::fuzz::targets()) std::fprintf(stderr, "  %s\n", each.name.data());
        return 2;
    }
    keep_input_of_crashes();
    const std::vector<std::string> inputs = read_inputs({argv + 2, argv + argc});
    if (inputs.empty()) {
        std::fprintf(stderr, "%s: there are no inputs in %s\n", argv[0], argv[2]);
        return 1;
    }
    for (const std::string& input : inputs) try_bytes(*target, input);
    const std::size_t damages = std::filesystem::is_directory(argv[2]) ? target->damaged / kSlowdown : 0;
    Cuts choice{target->name};
    for (std::size_t i = 0; i < damages; ++i)
        try_bytes(*target, damaged(inputs[i % inputs.size()], inputs[choice.below(inputs.size())], choice));
    std::printf("%s: %zu inputs and %zu damaged ones, every rule held\n", argv[1], inputs.size(), damages);
    return 0;
}
