#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/digest.h"
#include "common/result.h"

namespace brokerd {

/// Writes what the worker has to say to its report pipe: lines, each a letter and its fields, which WorkerReport reads.
/// Inside the worker; throws Refused where the daemon does not listen any more.
class ReportWriter {
public:
    explicit ReportWriter(int fd) noexcept : fd_{fd} {}

    void progress(std::size_t layer, std::uint64_t bytes);
    void digest(const Digest& digest);
    void config(std::string_view bytes);
    /// `is_host_to_blame`: it is not what the archive says, it is what this machine cannot do.
    void error(std::string_view message, bool is_host_to_blame = false);
    /// The last line of a job that went well.
    void done(std::uint64_t entries, std::uint64_t bytes, std::uint64_t skipped);

private:
    void write_all(std::string_view bytes) const;

    const int fd_;
};

/// Reads a worker's report. The worker may have been taken over by what it reads, so that all is checked and bounded.
/// Thread: one at a time.
class WorkerReport {
public:
    using Progress = std::function<void(std::size_t layer, std::uint64_t bytes)>;

    /// `max_digests`: of as many layers as there are.
    WorkerReport(std::size_t max_digests, Progress progress);

    /// Takes the next piece of what the pipe holds. An error: they make no sense, and the worker is not to be trusted
    /// any more.
    [[nodiscard]] Result<bool> feed(std::string_view text);

    /// What the worker refused, if it did. Printable.
    [[nodiscard]] const std::optional<std::string>& error() const noexcept { return error_; }
    [[nodiscard]] bool is_host_to_blame() const noexcept { return is_host_to_blame_; }
    [[nodiscard]] bool is_done() const noexcept { return is_done_; }

    std::vector<Digest> digests;
    std::optional<std::string> config;
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
    std::uint64_t skipped = 0;

private:
    [[nodiscard]] bool take_line(std::string_view line);
    [[nodiscard]] bool take_numbers(char kind, std::string_view fields);

    const std::size_t max_digests_;
    const Progress progress_;
    std::string pending_;            ///< less than a line
    std::uint64_t config_left_ = 0;  ///< bytes of config still to come
    std::optional<std::string> error_;
    bool is_host_to_blame_ = false;
    bool is_done_ = false;
};

}  // namespace brokerd
