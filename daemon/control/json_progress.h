#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "common/json.h"
#include "daemon/control/job.h"
#include "daemon/operations/operation_error.h"
#include "daemon/operations/progress.h"

namespace brokerd {

/// A job's progress as Docker streams it: one JSON object a line (Engine API, "Create an image", its responses), which
/// docker and pluginctl draw. The answer starts with the first line, so that what fails before it has a status of its
/// own. Thread: any for Progress; the job's for the rest.
class JsonProgress final : public Progress {
public:
    explicit JsonProgress(JobReply& reply, JobReply::Headers headers = {})
        : reply_{reply}, headers_{std::move(headers)} {}

    void tell(std::string_view id, std::string_view status) override;
    void advance(std::string_view id, std::string_view action, std::uint64_t done, std::uint64_t total) override;

    /// {"aux": `value`}: the result, for programs. `value` is JSON.
    void aux(std::string_view value);
    /// The end: nothing more on success; the error as a status where nothing has been said yet, as a line otherwise.
    void finish();
    void finish(const OperationError& error);

private:
    using Clock = std::chrono::steady_clock;

    /// Precondition for both: the mutex is held.
    void send(std::string_view line);
    void start();

    JobReply& reply_;
    const JobReply::Headers headers_;
    std::mutex mutex_;  ///< guards the reply and what is below
    std::map<std::string, Clock::time_point, std::less<>> advanced_;
};

}  // namespace brokerd
