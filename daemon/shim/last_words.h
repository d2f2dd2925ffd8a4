#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace brokerd {

/// Hostile text as one line for people: UTF-8, without control characters, without blanks around it, cut to `limit`
/// bytes with an ellipsis at the end.
[[nodiscard]] std::string one_clean_line(std::string_view text, std::size_t limit);

/// Puts before what a failed execve(2) says ("exec /x: exec format error", told on stderr by an OCI runtime that has
/// already reported success) what that means for a plugin. Other text stays as it is.
[[nodiscard]] std::string explain_exec_failure(const std::string& text);

/// Remembers why a program ended, as far as it said so on stderr: its last line that is not empty; or, where it is a
/// Go program that panics, the line that says why, as a stack follows it. Thread: one.
class LastWords {
public:
    static constexpr std::size_t kMaxBytes = 200;  ///< without the explanation

    /// One line, or part of one, of which the beginning counts.
    void heard(std::string_view line, bool partial);
    [[nodiscard]] std::string str() const { return explain_exec_failure(words_); }

private:
    std::string words_;
    bool within_line_ = false;
    bool final_ = false;
};

}  // namespace brokerd
