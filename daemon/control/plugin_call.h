#pragma once

#include <chrono>
#include <string>

#include "common/result.h"
#include "daemon/control/control_message.h"

namespace brokerd {

/// One call to a plugin through a Unix socket that brokerd itself has published.
struct PluginCall {
    /// Ours: answers of Docker's plugin protocols are small; this one is kept in memory. Head and framing count.
    static constexpr std::size_t kMaxAnswerBytes = std::size_t{16} * 1024 * 1024;

    std::string socket;  ///< path
    std::string method;  ///< "VolumeDriver.List": letters, digits, dots and underscores
    std::string body;
    std::string content_type;
};

/// POSTs the call and returns the answer as it came: status, content type and body. Blocks, at most for `budget`; ends
/// early when `cancelled` becomes readable. The error says why there is no answer.
[[nodiscard]] Result<ControlReply> perform(const PluginCall& call, std::chrono::milliseconds budget, int cancelled);

}  // namespace brokerd
