#include "daemon/control/job.h"

#include <exception>

#include "daemon/control/error_reply.h"
#include "daemon/control/job_link.h"
#include "daemon/loop/log.h"

namespace brokerd {

int Job::cancelled() const noexcept {
    return link_->cancelled();
}

bool Job::is_cancelled() const noexcept {
    return link_->is_cancelled();
}

void run_job(const std::shared_ptr<JobLink>& link, const JobWork& work) {
    try {
        Job job{link};
        try {
            work(job);
            if (!job.reply.over()) job.reply.fail_with(error_reply::internal_error("a job ended without an answer"));
        } catch (const std::exception& error) {
            if (!job.is_cancelled()) log_error("control socket: a job failed: {}", error.what());
            job.reply.fail_with(error_reply::internal_error(error.what()));
        }
    } catch (const std::exception& error) {
        log_error("control socket: a job's answer failed: {}", error.what());
    }
    link->ended();
}

}  // namespace brokerd
