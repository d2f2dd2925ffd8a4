#pragma once

#include <chrono>

#include "common/os/unique_fd.h"
#include "common/unix_http.h"

namespace brokerd {

/// One request and its answer on a connected socket, which ends with it. Waits, at most as UnixHttp says; `deadline` is
/// for the first of the waits that `limits.time` bounds. Without `receive` the answer's body is collected.
/// Thread: any. Used by UnixHttp only.
[[nodiscard]] Result<UnixHttp::Streamed, TransportError> http_exchange(UniqueFd socket, const HttpRequest& request,
                                                                       std::chrono::steady_clock::time_point deadline,
                                                                       UnixHttp::Limits limits,
                                                                       const UnixHttp::Receiver* receive,
                                                                       UnixHttp::Wires wires);

}  // namespace brokerd
