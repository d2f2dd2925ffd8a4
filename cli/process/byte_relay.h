#pragma once

#include <optional>

#include "common/result.h"

namespace brokerd::cli {

/// Copies `in` to `socket` and `socket` to `out`, all borrowed, until nothing can come of it any more: the socket's
/// other side has ended and all of that is written, or whoever reads `out` is gone. The end of `in` is passed on as a
/// half-close. Neither direction waits for the other. Nothing where every byte that was read has been taken; else which
/// side did not take them, as far as it can be known here. Thread: one; waits.
[[nodiscard]] std::optional<Error> relay_bytes(int in, int out, int socket);

}  // namespace brokerd::cli
