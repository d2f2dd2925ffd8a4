#pragma once

#include <compare>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/discovery/plugin_definition.h"

namespace brokerd {

/// A path below one of the plugin directories. `relative` has no leading slash; it is empty for the directory itself.
struct EntryPath {
    std::size_t root = 0;
    std::string relative;

    friend auto operator<=>(const EntryPath&, const EntryPath&) = default;
};

/// Docker's rule of which file defines which plugin (Docker Plugin API, "Plugin discovery"), as a mapping between names
/// and paths. Names here are raw: the text of a path, not yet known to be a valid plugin name. Touches no file.
class SearchOrder {
public:
    struct Candidate {
        EntryPath path;
        PluginDefinition::Source source;
    };

    /// Absolute paths. Root 0 is the engine's socket directory, the others are the spec directories in order.
    SearchOrder(const std::string& engine_socket_directory, const std::vector<std::string>& spec_directories);

    [[nodiscard]] std::size_t root_count() const noexcept { return roots_.size(); }
    [[nodiscard]] std::string absolute(const EntryPath& path) const;

    /// Every path that defines `name`, in the order in which they are looked up.
    [[nodiscard]] std::vector<Candidate> candidates(std::string_view name) const;
    /// The one name that a file at this path defines; nothing where files like it define none.
    [[nodiscard]] std::optional<std::string> name_of(const EntryPath& path) const;

    /// Whether a file of this name, last part only, can define a plugin below `root`.
    [[nodiscard]] static bool may_define(std::size_t root, std::string_view file_name);
    /// Whether plugins are looked for in directories of this name, last part only, below `root`.
    [[nodiscard]] static bool may_enter(std::size_t root, std::string_view directory_name);

private:
    std::vector<std::string> roots_;
};

}  // namespace brokerd
