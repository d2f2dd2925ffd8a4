#pragma once

namespace brokerd::cli {

/// What pluginctl tells the shell; 125 as `docker run` has it for "the daemon itself", 130 and 143 as shells count what
/// SIGINT and SIGTERM end.
enum class ExitStatus { success = 0, failed = 1, usage = 2, no_daemon = 125, interrupted = 130, terminated = 143 };

}  // namespace brokerd::cli
