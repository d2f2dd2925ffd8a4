#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <optional>

#include "common/os/unique_fd.h"

namespace brokerd {

struct Pipe {
    UniqueFd read_end;
    UniqueFd write_end;
};

/// Both ends are closed at exec. Nothing: errno says why not. Thread: any.
[[nodiscard]] inline std::optional<Pipe> make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
    return Pipe{UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

}  // namespace brokerd
