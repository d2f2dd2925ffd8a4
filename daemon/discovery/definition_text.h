#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "daemon/discovery/plugin_definition.h"

namespace brokerd {

/// Ours: a .spec file is one URL, and the longest valid one is below 400 bytes.
inline constexpr std::size_t kMaxSpecBytes = std::size_t{8} << 10;
/// Ours: a .json file is two strings and three paths.
inline constexpr std::size_t kMaxJsonBytes = std::size_t{64} << 10;

/// Reads the content of a .spec file: one URL, surrounding white space ignored. Pure: touches no file.
/// `name` is a valid plugin name, `file` the path for messages. Never fails: what is wrong is in the definition.
[[nodiscard]] PluginDefinition parse_spec_text(const std::string& name, const std::string& file, std::string_view text);

/// Reads the content of a .json file (Docker Plugin API, "JSON specification"); the same contract.
/// Member names are matched like Go's decoder does, without regard to case; null is the same as absent.
[[nodiscard]] PluginDefinition parse_json_text(const std::string& name, const std::string& file, std::string_view text);

/// A definition without endpoint and without problem yet.
[[nodiscard]] PluginDefinition blank_definition(const std::string& name, const std::string& file,
                                                PluginDefinition::Source source);

/// "FILE:LINE:COLUMN: message" for byte `offset` of `text`.
[[nodiscard]] std::string at_place(const std::string& file, std::string_view text, std::size_t offset,
                                   const std::string& message);

/// Takes a UTF-8 byte order mark off `text` and leaves a warning: Docker does not accept one.
void strip_byte_order_mark(std::string_view& text, PluginDefinition& definition);

}  // namespace brokerd
