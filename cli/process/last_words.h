#pragma once

#include <string>
#include <thread>

#include "common/os/pipe.h"

namespace brokerd::cli {

/// The end of what a program writes to its stderr. It is read all the time, so that the program never waits for us, and
/// only the last 4 KiB are kept, however much comes. Thread: one; the reading one is its own and takes no signals.
class LastWords {
public:
    LastWords();
    LastWords(const LastWords&) = delete;
    LastWords& operator=(const LastWords&) = delete;
    ~LastWords();

    /// For the program; close_writing() once it has it.
    [[nodiscard]] int fd() const noexcept { return pipe_.write_end.get(); }
    void close_writing() noexcept { pipe_.write_end.reset(); }

    /// What has come until now; nothing more is read. Does not wait for the program, nor for others that have its
    /// stderr.
    [[nodiscard]] const std::string& take();

private:
    void read_on();
    void read_some();

    Pipe pipe_;
    UniqueFd stop_;
    std::string text_;    ///< the reading thread's for as long as it runs
    bool ended_ = false;  ///< likewise
    std::thread reader_;
};

}  // namespace brokerd::cli
