#pragma once

#include <functional>
#include <optional>

#include "common/result.h"

namespace brokerd {

/// An archive that somebody sends while it is read.
struct UploadedArchive {
    int fd = -1;  ///< borrowed; a pipe or a file
    /// To be asked once all has been read, before anything is made of it: why the archive did not come whole. A client
    /// that is cut off leaves what may look like an archive.
    std::function<std::optional<Error>()> what_is_missing;
};

}  // namespace brokerd
