#include "tests/fuzz/archive_jobs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <clocale>
#include <exception>

#include "common/os/unique_fd.h"
#include "daemon/archive/refused.h"
#include "daemon/archive/remove_tree.h"
#include "daemon/archive/worker_jobs.h"
#include "daemon/archive/worker_process.h"
#include "tests/fuzz/checks.h"

namespace brokerd::fuzz {
namespace {

constexpr std::size_t kMaxInputs = 2;

/// Small, so that an input of some kilobytes can reach them.
ArchiveLimits small_limits() {
    ArchiveLimits limits;
    limits.entries = 200;
    limits.bytes = std::uint64_t{1} << 20;
    limits.stream_bytes = std::uint64_t{4} << 20;
    limits.ratio = 100;
    limits.ratio_from = std::uint64_t{1} << 20;
    limits.depth = 64;
    limits.xattr_bytes = 1024;
    limits.links = 20;
    return limits;
}

std::string read_all(int file) {
    std::string bytes(static_cast<std::size_t>(lseek(file, 0, SEEK_END)), '\0');
    expect(pread(file, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()), "a memfd can be read");
    return bytes;
}

std::string state_of(const char* path) {
    struct stat status {};
    expect(lstat(path, &status) == 0, "what lies beside the rootfs is still there", path);
    return fmt::format("{} {:o} {} {} {} {} {}.{}\n", path, status.st_mode, status.st_uid, status.st_gid,
                       status.st_nlink, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

std::string state_outside() {
    return state_of("/outside") + state_of("/outside/secret") + state_of("/outside/directory");
}

/// The worker's descriptors are numbers that both sides know (worker_process.h).
void put_at(int number, int fd) {
    expect(dup2(fd, number) == number, "a descriptor can have the worker's number");
}

/// What worker_main.cpp makes of a job that gives up.
void run_job(ArchiveJob job, WorkerContext& context, ArchiveJobs::Outcome& outcome) {
    try {
        switch (job) {
            case ArchiveJob::unpack:
                return run_unpack(context);
            case ArchiveJob::extract:
                return run_extract(context);
            case ArchiveJob::read_plugin_tar:
                return run_read_plugin_tar(context);
        }
    } catch (const HostFailure& failure) {
        outcome.refusal = failure.what();
        outcome.is_host_to_blame = true;
    } catch (const Refused& refusal) {
        outcome.refusal = refusal.what();
    } catch (const std::bad_alloc&) {
        outcome.refusal = "needs more memory";
    }
}

}  // namespace

std::unique_ptr<ArchiveJobs> ArchiveJobs::make() {
    auto root = PrivateRoot::make();
    if (!root) return nullptr;
    return std::unique_ptr<ArchiveJobs>{new ArchiveJobs{std::move(root)}};
}

ArchiveJobs::ArchiveJobs(std::unique_ptr<PrivateRoot> root) : root_{std::move(root)} {
    std::setlocale(LC_CTYPE, "C.UTF-8");
    root_->run([this] {
        expect(mkdir("/outside", 0700) == 0 && mkdir("/outside/directory", 0755) == 0, "a directory can be made");
        write_file("/outside/secret", "secret");
        outside_ = state_outside();
        // These numbers are the worker's from now on; nothing else here keeps descriptors.
        constexpr int kEnd = kFirstInputFd + static_cast<int>(kMaxInputs);
        UniqueFd any{open("/", O_RDONLY | O_CLOEXEC)};
        const UniqueFd beyond{fcntl(any.get(), F_DUPFD_CLOEXEC, kEnd)};
        any.reset();
        for (int number = kReportFd; number < kEnd; ++number) put_at(number, beyond.get());
    });
}

ArchiveJobs::Outcome ArchiveJobs::run(ArchiveJob job, const std::vector<ArchiveInput>& inputs) {
    expect(inputs.size() <= kMaxInputs, "a job has few inputs");
    Outcome outcome;
    root_->run([&] {
        expect(mkdir("/rootfs", 0755) == 0, "a directory can be made");
        const auto memory = [](std::string_view bytes) {
            UniqueFd file{memfd_create("fuzz", MFD_CLOEXEC)};
            expect(write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
                       lseek(file.get(), 0, SEEK_SET) == 0,
                   "a memfd can be written");
            return file;
        };
        const UniqueFd report_file = memory({});
        const UniqueFd output = memory({});
        const UniqueFd rootfs{open("/rootfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        put_at(kReportFd, report_file.get());
        put_at(kDirectoryFd, rootfs.get());
        put_at(kOutputFd, output.get());
        std::vector<std::string> arguments;
        for (const ArchiveInput& input : inputs) {
            put_at(kFirstInputFd + static_cast<int>(arguments.size()), memory(input.bytes).get());
            arguments.push_back(input.encoding);
        }
        WorkerContext context{ReportWriter{kReportFd}, small_limits(), arguments, 0, {}};
        run_job(job, context, outcome);
        if (!outcome.refusal.empty()) context.report.error(context.entry + ": " + outcome.refusal, false);

        WorkerReport report{inputs.size(), {}};
        expect(static_cast<bool>(report.feed(read_all(report_file.get()))), "the daemon understands the worker",
               read_all(report_file.get()));
        expect(report.is_done() == outcome.refusal.empty() && report.error().has_value() != report.is_done(),
               "a job is done, or refused");
        if (report.error()) expect_sentence(*report.error());
        if (!context.entry.empty()) expect_sentence(context.entry);
        outcome.output = read_all(output.get());
        outcome.digests = report.digests;
        outcome.entries = report.entries;
        outcome.bytes = report.bytes;

        expect(state_outside() == outside_, "nothing outside of the rootfs changes");
        const UniqueFd top{open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        const auto removed = remove_tree(top.get(), "rootfs");
        expect(static_cast<bool>(removed), "whatever was unpacked can be removed",
               removed ? "" : removed.error().message);
        expect(state_outside() == outside_, "nothing outside of the rootfs is removed with it");
    });
    return outcome;
}

}  // namespace brokerd::fuzz
