#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/image_reference.h"
#include "common/result.h"

/// Arguments that several commands have.
namespace brokerd::cli {

/// The name of a plugin on this host, with the tag "latest" where `text` has none, in the form that people write:
/// "vieux/sshfs:latest". A digest is refused: it names an image, not a plugin.
[[nodiscard]] Result<std::string> local_name(std::string_view text);

/// What is wrong with arguments that should be KEY=VALUE; nothing where they are.
[[nodiscard]] std::optional<std::string> settings_problem(const std::vector<std::string>& settings);

}  // namespace brokerd::cli
