#include "tests/fuzz/private_root.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "common/os/unique_fd.h"
#include "daemon/images/sha256.h"
#include "tests/fuzz/checks.h"

namespace brokerd::fuzz {

std::unique_ptr<PrivateRoot> PrivateRoot::make() {
    if (geteuid() != 0) {
        std::fprintf(stderr, "skipped: needs root\n");
        return nullptr;
    }
    // OpenSSL reads its configuration when it is first used. On the thread, where there is none, that would leave an
    // error, which belongs to the thread, and which OpenSSL can no longer free where it ends before the thread does.
    static_cast<void>(Sha256::of({}));
    return std::unique_ptr<PrivateRoot>{new PrivateRoot};
}

PrivateRoot::PrivateRoot() : thread_{[this] { serve(); }} {
    run([] {
        // The mount is seen by this thread only, so that it may hide whatever is there.
        expect(unshare(CLONE_NEWNS | CLONE_FS) == 0, "a thread can have a mount namespace");
        expect(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "mounts can be made private");
        expect(mount("fuzz", "/tmp", "tmpfs", MS_NODEV | MS_NOEXEC, "size=32m,mode=0755") == 0, "a tmpfs can be made");
        expect(chroot("/tmp") == 0 && chdir("/") == 0, "a thread can change its root");
        umask(022);
    });
}

PrivateRoot::~PrivateRoot() {
    {
        const std::lock_guard lock{mutex_};
        ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void PrivateRoot::run(const std::function<void()>& job) {
    std::unique_lock lock{mutex_};
    job_ = &job;
    changed_.notify_all();
    changed_.wait(lock, [this] { return job_ == nullptr; });
}

void PrivateRoot::serve() {
    std::unique_lock lock{mutex_};
    for (;;) {
        changed_.wait(lock, [this] { return ending_ || job_ != nullptr; });
        if (ending_) return;
        (*job_)();
        job_ = nullptr;
        changed_.notify_all();
    }
}

void write_file(const std::string& path, std::string_view bytes) {
    const UniqueFd file{open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
    expect(file && write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
           "a file can be written", path);
}

}  // namespace brokerd::fuzz
