#pragma once

namespace brokerd::cli {

/// Copies `in` to `socket` and `socket` to `out`, all borrowed, until nothing can come of it any more: the socket's
/// other side has ended and all of that is written, or whoever reads `out` is gone. The end of `in` is passed on as a
/// half-close. Neither direction waits for the other. Thread: one; waits.
void relay_bytes(int in, int out, int socket);

}  // namespace brokerd::cli
