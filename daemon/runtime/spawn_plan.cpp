#include "daemon/runtime/spawn_plan.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace brokerd {
namespace {

/// Where OCI runtimes, their hooks and helpers (newuidmap, criu) are found, whatever brokerd itself was started with.
std::string path_variable() {
    const char* const own = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): nobody changes the environment
    return std::string{"PATH="} +
           (own != nullptr && *own != '\0' ? own : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
}

}  // namespace

SpawnPlan::SpawnPlan() : flags_{POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF} {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (error_ == 0) error_ = posix_spawn_file_actions_addopen(&actions_, standard, "/dev/null", O_RDWR, 0);
    }
    // All of ours are closed at exec; this is for those that a library may have opened, or a parent left open, without
    // that flag. What give() adds comes afterwards; what it duplicates lies above.
    for (int target = STDERR_FILENO + 1; target < kFirstFreeFd; ++target) {
        if (error_ == 0) error_ = posix_spawn_file_actions_addclose(&actions_, target);
    }
}

SpawnPlan::~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
}

void SpawnPlan::give(int fd, int target) {
    // First as a duplicate out of the way of all targets: one descriptor's target may be another one's number.
    const int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, kFirstFreeFd);
    if (duplicate < 0) {
        if (error_ == 0) error_ = errno;
        return;
    }
    duplicates_.emplace_back(duplicate);
    if (error_ == 0) error_ = posix_spawn_file_actions_adddup2(&actions_, duplicate, target);
}

void SpawnPlan::lead_group() {
    posix_spawnattr_setpgroup(&attributes_, 0);
    flags_ = static_cast<short>(flags_ | POSIX_SPAWN_SETPGROUP);
}

pid_t SpawnPlan::spawn(const std::vector<std::string>& arguments) {
    if (error_ == 0) error_ = posix_spawn_file_actions_addclosefrom_np(&actions_, kFirstFreeFd);
    posix_spawnattr_setflags(&attributes_, flags_);
    std::vector<char*> pointers;
    pointers.reserve(arguments.size() + 1);
    for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
    pointers.push_back(nullptr);
    std::string path = path_variable();
    char* const environment[] = {path.data(), nullptr};
    pid_t pid = -1;
    if (error_ == 0)
        error_ = posix_spawn(&pid, pointers.front(), &actions_, &attributes_, pointers.data(), environment);
    duplicates_.clear();
    errno = error_;
    return error_ == 0 ? pid : -1;
}

}  // namespace brokerd
