// What a program that is built with sanitizers reports, and where. It is linked into each of them (BROKERD_SANITIZERS),
// because the usual way, the environment, does not reach those that matter most: brokerd gives shims and archive
// workers an environment of their own.
//
// Reports go to stderr, unless the directory BROKERD_SANITIZER_REPORTS exists: then each process that has one writes it
// there, to PROGRAM.PID. So whoever runs many programs (packaging/test, tests/integration) makes that directory first,
// and misses none, however a program was started, whoever reads its output, and whatever became of its exit status.

#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstring>

#define BROKERD_COMMON_OPTIONS \
    "print_stacktrace=1:detect_stack_use_after_return=1:strict_string_checks=1:second_deadlock_stack=1"
#define BROKERD_KEPT_OPTIONS BROKERD_COMMON_OPTIONS ":log_exe_name=1:log_path=" BROKERD_SANITIZER_REPORTS "/report"

namespace {

const char* options() {
    return access(BROKERD_SANITIZER_REPORTS, W_OK) == 0 ? BROKERD_KEPT_OPTIONS : BROKERD_COMMON_OPTIONS;
}

}  // namespace

extern "C" {

const char* __asan_default_options() {
    return options();
}
const char* __ubsan_default_options() {
    return options();
}
const char* __tsan_default_options() {
    return options();
}

/// Leaks are looked for by tracing the own threads, which cannot be done below strace(1): there it would end the
/// program with an error.
int __lsan_is_turned_off() {
    std::FILE* const status = std::fopen("/proc/self/status", "re");
    if (status == nullptr) return 0;
    constexpr char kTracer[] = "TracerPid:\t";
    char line[128];
    bool traced = false;
    while (std::fgets(line, sizeof line, status) != nullptr) {
        if (std::strncmp(line, kTracer, sizeof kTracer - 1) == 0) traced = line[sizeof kTracer - 1] != '0';
    }
    std::fclose(status);
    return traced ? 1 : 0;
}
}
