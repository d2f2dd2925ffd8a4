#pragma once

#include <archive_entry.h>
#include <sys/stat.h>

#include <cstdint>
#include <ctime>
#include <string>

#include "daemon/archive/limits.h"

namespace brokerd {

// What an entry says of its owner, mode, times and extended attributes, given to what has been created for it. In the
// order that Linux demands: content, owner (which clears setuid and capabilities), mode, attributes, time.
// Inside the archive worker; throw EntryRefused.

/// To an open file or directory. Returns the number of extended attributes skipped (see unpack_layers()).
std::uint64_t give_metadata(int fd, archive_entry* entry, const ArchiveLimits& limits);
/// To a link, device or FIFO, which cannot be opened. All its extended attributes are skipped.
std::uint64_t give_metadata(int directory, const std::string& name, archive_entry* entry);

[[nodiscard]] timespec entry_time(archive_entry* entry);
[[nodiscard]] mode_t entry_mode(archive_entry* entry);

}  // namespace brokerd
