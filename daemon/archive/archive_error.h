#pragma once

#include <cstdint>
#include <string>

#include "common/result.h"

namespace brokerd {

/// Why an archive was not read or written: a sentence, and whose fault it is.
struct ArchiveError {
    enum class Kind : std::uint8_t {
        refused,    ///< the archive's: it is damaged, hostile, or too much
        host,       ///< this machine's: its disk, its memory; or the sink's
        cancelled,  ///< nobody's
    };

    Kind kind = Kind::host;
    std::string message;
};

template <class T>
using ArchiveResult = Result<T, ArchiveError>;

}  // namespace brokerd
