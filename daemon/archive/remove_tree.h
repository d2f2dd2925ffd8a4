#pragma once

#include <cstdint>
#include <string>

#include "common/result.h"

namespace brokerd {

struct RemovedTree {
    std::uint64_t entries = 0;  ///< 0: there was nothing
};

/// Removes `name` in the directory `parent` (a descriptor), with everything in it. `name` is one path component. What
/// is not there is no error. Symbolic links are removed, never followed; trees deeper than PATH_MAX and names of any
/// bytes are no hindrance; memory grows with the depth only.
/// Immutable and append-only marks (chattr) are lifted on the way. Mount points inside are not crossed: the error names
/// the first one, and what has been removed until then is gone, so the caller renames the tree aside first. Thread: any
/// that may wait.
[[nodiscard]] Result<RemovedTree> remove_tree(int parent, const std::string& name);

}  // namespace brokerd
