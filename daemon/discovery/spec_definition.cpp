#include <algorithm>

#include "common/endpoint.h"
#include "daemon/discovery/address_advice.h"
#include "daemon/discovery/definition_text.h"

namespace brokerd {
namespace {

constexpr std::string_view kWhiteSpace = " \t\r\n\v\f";

PluginDefinition malformed(PluginDefinition definition, std::string reason, std::string remedy) {
    definition.problem = PluginDefinition::Problem::malformed;
    definition.reason = std::move(reason);
    definition.remedy = std::move(remedy);
    return definition;
}

/// Where in `url` the first byte is that no address can contain; 0 where each could be in one.
std::size_t first_foreign_byte(std::string_view url) {
    const auto* const found = std::find_if(url.begin(), url.end(), [](char c) { return c <= ' ' || c > '~'; });
    return found == url.end() ? 0 : static_cast<std::size_t>(found - url.begin());
}

}  // namespace

PluginDefinition parse_spec_text(const std::string& name, const std::string& file, std::string_view text) {
    PluginDefinition definition = blank_definition(name, file, PluginDefinition::Source::spec);
    strip_byte_order_mark(text, definition);
    const std::size_t start = text.find_first_not_of(kWhiteSpace);
    if (start == std::string_view::npos) {
        return malformed(std::move(definition), at_place(file, text, 0, "the file is empty"), address_remedy({}));
    }
    const std::string_view url = text.substr(start, text.find_last_not_of(kWhiteSpace) + 1 - start);

    if (const std::size_t line_end = url.find_first_of("\r\n"); line_end != std::string_view::npos) {
        const std::size_t more = url.find_first_not_of(kWhiteSpace, line_end);
        const std::string first = likely_address(url.substr(0, line_end));
        return malformed(std::move(definition),
                         at_place(file, text, start + more, "a .spec file holds one URL, and here is a second line"),
                         first.empty() ? address_remedy({}) : "write one line: " + first);
    }
    auto endpoint = Endpoint::parse(url);
    if (!endpoint) {
        return malformed(std::move(definition),
                         at_place(file, text, start + first_foreign_byte(url), endpoint.error().message),
                         address_remedy(url));
    }
    if (endpoint->tls()) {
        definition.warnings.push_back(
            at_place(file, text, start,
                     "the plugin's certificate is verified against the system's store (Docker would "
                     "not verify it at all); a .json file can name a CAFile"));
    }
    definition.endpoint = std::move(*endpoint);
    return definition;
}

}  // namespace brokerd
