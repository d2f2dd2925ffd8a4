#pragma once

namespace brokerd::cli {

/// What pluginctl tells the shell; 125 as `docker run` has it for "the daemon itself".
enum class ExitStatus { success = 0, failed = 1, usage = 2, no_daemon = 125 };

}  // namespace brokerd::cli
