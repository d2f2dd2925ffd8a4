#include <clocale>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/archive/confinement.h"
#include "daemon/archive/refused.h"
#include "daemon/archive/worker.h"
#include "daemon/archive/worker_jobs.h"
#include "daemon/archive/worker_process.h"
#include "daemon/archive/worker_report.h"
#include "daemon/images/sha256.h"

#include <unistd.h>

namespace brokerd {
namespace {

struct JobKind {
    std::string_view name;
    Confinement confinement;
    void (*run)(WorkerContext& context);
};

constexpr JobKind kJobs[] = {
    {kUnpackJob, Confinement::unpack, &run_unpack},
    {kExtractJob, Confinement::extract, &run_extract},
    {kReadPluginTarJob, Confinement::stream, &run_read_plugin_tar},
    {kPackJob, Confinement::pack, &run_pack},
};

void run(const JobKind& job, WorkerContext& context) {
    // What would open files later is done now. Names are UTF-8 to libarchive, whatever the daemon's environment says.
    std::setlocale(LC_CTYPE, "C.UTF-8");
    static_cast<void>(Sha256::of({}));
    const int last_fd = kFirstInputFd + static_cast<int>(context.arguments.size()) - 1;
    confine(job.confinement, kDirectoryFd, last_fd, context.limits);
    job.run(context);
}

/// The subject for what Refused says.
std::string subject(const WorkerContext& context) {
    return context.layer == 0 ? "the archive" : "layer " + std::to_string(context.layer);
}

}  // namespace

int archive_worker_main(int argc, char** argv) {
    // argv: program, --archive-worker, job, limits, an argument for each input
    if (argc < 4) _exit(2);
    WorkerContext context{ReportWriter{kReportFd}, read_limits(argv[3]), {argv + 4, argv + argc}, 0, {}};
    int status = 1;
    try {
        try {
            for (const JobKind& job : kJobs) {
                if (job.name != argv[2]) continue;
                run(job, context);
                status = 0;
            }
        } catch (const HostFailure& failure) {
            context.report.error(subject(context) + ", entry " + context.entry + ": it " + failure.what(), true);
        } catch (const EntryRefused& refusal) {
            context.report.error(subject(context) + ", entry " + context.entry + ": it " + refusal.what());
        } catch (const Refused& refusal) {
            context.report.error(subject(context) + ' ' + refusal.what());
        } catch (const std::bad_alloc&) {
            context.report.error(subject(context) + " needs more memory to read than an archive may use");
        } catch (const std::exception& failure) {
            context.report.error(subject(context) + " cannot be handled: " + failure.what(), true);
        }
    } catch (const std::exception&) {
        status = 2;  // nobody listens
    }
    _exit(status);
}

}  // namespace brokerd
