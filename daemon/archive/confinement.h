#pragma once

#include <cstdint>

#include "daemon/archive/limits.h"

namespace brokerd {

/// What a job of the archive worker may still do once it is confined.
enum class Confinement : std::uint8_t {
    stream,  ///< read and write the descriptors that it was given; open nothing
    pack,    ///< also read everything beneath its root
    unpack,  ///< also create anything beneath its root, with any owner, mode, capability or device number
    extract  ///< also create files and directories beneath its root
};

/// Leaves this process nothing but its descriptors up to `last_fd`, the tree beneath the directory `root` as its root
/// (for `stream`: nothing), the capabilities and system calls that the confinement needs, and the limits' memory and
/// processor time. It dies with the thread that started it. Throws Refused where any of it fails.
void confine(Confinement confinement, int root, int last_fd, const ArchiveLimits& limits);

}  // namespace brokerd
