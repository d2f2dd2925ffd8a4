#include "cli/plugin_arguments.h"

#include <fmt/format.h>

namespace brokerd::cli {

Result<std::string> local_name(std::string_view text) {
    const auto reference = ImageReference::parse(text);
    if (!reference) return fail(reference.error());
    if (reference->digest()) return fail(fmt::format("\"{}\" has a digest; a plugin is named NAME[:TAG]", text));
    return reference->with_default_tag().familiar();
}

std::optional<std::string> settings_problem(const std::vector<std::string>& settings) {
    for (const std::string& setting : settings) {
        if (setting.find('=') == std::string::npos || setting.front() == '=') {
            return fmt::format("\"{}\" is not a setting; write KEY=VALUE", setting);
        }
    }
    return std::nullopt;
}

}  // namespace brokerd::cli
