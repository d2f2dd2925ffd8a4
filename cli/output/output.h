#pragma once

#include <string>
#include <string_view>

namespace brokerd::cli {

/// Text on its way to a borrowed descriptor, collected until flush(). Thread: one.
/// After a failed write it swallows everything: what happened is asked once, at the end.
class Output {
public:
    /// `colours`: whether the user lets a terminal be given colours.
    explicit Output(int fd, bool colours = false) noexcept : fd_{fd}, colours_{colours} {}
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    void write(std::string_view text) { pending_ += text; }
    /// Writes everything out; false when that failed, now or before.
    bool flush();

    [[nodiscard]] bool is_terminal() const noexcept;
    [[nodiscard]] bool has_colours() const noexcept { return colours_ && is_terminal(); }
    [[nodiscard]] int fd() const noexcept { return fd_; }
    /// errno of the first failed write, 0 for none. EPIPE: the reader has seen enough (SIGPIPE must be ignored).
    [[nodiscard]] int error() const noexcept { return error_; }

private:
    int fd_;
    bool colours_;
    std::string pending_;
    int error_ = 0;
};

}  // namespace brokerd::cli
