#include "cli/plugin_fields.h"

#include <fmt/format.h>

namespace brokerd::cli {

std::string status_text(const PluginView& plugin) {
    if (plugin.state == "activating" && plugin.attempts > 0) {
        return fmt::format("activating (attempt {})", plugin.attempts);
    }
    const bool in_trouble = plugin.state == "failed" || plugin.state == "invalid" || plugin.state == "unhealthy" ||
                            plugin.state == "restarting";
    if (!in_trouble) return plugin.state;
    const std::string count = plugin.restarts > 0 ? fmt::format(" ({})", plugin.restarts) : std::string{};
    const std::string& reason = plugin.reason.empty() ? plugin.last_exit : plugin.reason;
    return fmt::format("{}{}{}{}", plugin.state, count, reason.empty() ? "" : ": ", reason);
}

}  // namespace brokerd::cli
