#include "cli/plugin_fields.h"

#include <fmt/format.h>

namespace brokerd::cli {

std::string status_text(const PluginView& plugin) {
    if (plugin.state == "activating" && plugin.attempts > 0) {
        return fmt::format("activating (attempt {})", plugin.attempts);
    }
    const bool has_reason = (plugin.state == "failed" || plugin.state == "invalid") && !plugin.reason.empty();
    return has_reason ? fmt::format("{}: {}", plugin.state, plugin.reason) : plugin.state;
}

}  // namespace brokerd::cli
