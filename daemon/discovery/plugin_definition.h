#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/endpoint.h"
#include "common/plugin_view.h"

namespace brokerd {

/// What a plugin directory says of one plugin: the file that wins for its name, and what that file contains.
struct PluginDefinition {
    enum class Source : std::uint8_t {
        socket,
        spec,
        json,
        image,  ///< no file: brokerd itself runs the plugin
    };
    enum class Problem : std::uint8_t {
        none,
        malformed,      ///< content, type of file or size
        name_mismatch,  ///< a .json file whose Name is not its file name
        unsafe_owner,   ///< not root's, or writable by others
        unreadable,     ///< the system refuses to open or read it
        bad_name,       ///< the file's name cannot be a plugin's name
        shortage,       ///< descriptors or memory have run out: nothing is known of the file; never told
    };

    std::string name;  ///< PluginName's text, or the file's name escaped where problem is bad_name
    std::string file;  ///< absolute path of the file or socket that wins; escaped where problem is bad_name
    Source source = Source::spec;
    std::optional<Endpoint> endpoint;  ///< present exactly where problem is none
    Problem problem = Problem::none;
    std::string
        reason;  ///< one sentence, starting with "FILE:LINE:COLUMN: " where a place is known; empty without a problem
    std::string remedy;  ///< what to write or do instead; empty without a problem
    std::vector<std::string> warnings;
    std::vector<PluginView::Shadow> shadows;  ///< files of the same name that come later in the search order

    friend bool operator==(const PluginDefinition& a, const PluginDefinition& b);
};

}  // namespace brokerd
