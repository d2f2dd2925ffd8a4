#pragma once

#include <string>
#include <vector>

#include "common/result.h"
#include "daemon/bundle/runtime_spec.h"

namespace brokerd {

/// One mount of an OCI runtime spec.
struct SpecMount {
    std::string destination;
    std::string type;
    std::string source;
    std::vector<std::string> options;
};

/// All mounts of a plugin, in the order in which they are made: what every plugin has, the propagated mount, those of
/// its settings, its socket directory, names of the network. The error is one sentence, of a mount that has no source.
[[nodiscard]] Result<std::vector<SpecMount>> spec_mounts(const PluginRecord& plugin, const SpecPlaces& places);

}  // namespace brokerd
