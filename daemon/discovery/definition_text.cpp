#include "daemon/discovery/definition_text.h"

#include <fmt/format.h>

#include "common/json.h"
#include "common/plugin_name.h"

namespace brokerd {

PluginDefinition blank_definition(const std::string& name, const std::string& file, PluginDefinition::Source source) {
    PluginDefinition definition;
    definition.name = name;
    definition.file = file;
    definition.source = source;
    return definition;
}

std::string at_place(const std::string& file, std::string_view text, std::size_t offset, const std::string& message) {
    const JsonError place = locate(text, offset, message);
    return fmt::format("{}:{}:{}: {}", escaped(file, file.size()), place.line, place.column, place.message);
}

void strip_byte_order_mark(std::string_view& text, PluginDefinition& definition) {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    if (!text.starts_with(kByteOrderMark)) return;
    definition.warnings.push_back(
        at_place(definition.file, text, 0,
                 "the file starts with a UTF-8 byte order mark, which Docker does not accept; "
                 "save it without one"));
    text.remove_prefix(kByteOrderMark.size());
}

}  // namespace brokerd
