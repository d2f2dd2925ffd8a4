#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "common/digest.h"
#include "daemon/archive/archive_error.h"
#include "daemon/archive/limits.h"

namespace brokerd {

enum class Compression : std::uint8_t { none, gzip, zstd };

/// One layer of an image, read from where the descriptor stands. A file or a pipe.
struct LayerInput {
    int fd = -1;  ///< borrowed
    Compression compression = Compression::gzip;
    /// Of the uncompressed tar; computed, which takes a third of the time, and compared only where it is given (OCI
    /// image-spec, "DiffID").
    std::optional<Digest> diff_id = std::nullopt;
};

struct UnpackReport {
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;  ///< sum of the files' sizes
    std::uint64_t xattrs_skipped =
        0;  ///< extended attributes that plugins have no use for, or that the file system has not
};

/// Called now and then while a layer is unpacked: its index, and how many of its (compressed) bytes have been read.
/// Thread: the caller's.
using LayerProgress = std::function<void(std::size_t layer, std::uint64_t bytes)>;

/// Unpacks layers in the given order into the directory `rootfs` (empty, on a file system that no one else writes to
/// meanwhile), as the OCI image specification's "Image Layer Filesystem Changeset" and Docker do:
/// - Whiteouts (`.wh.NAME`) and opaque directories (`.wh..wh..opq`) remove what lower layers have, never entries of
///   their own layer. Other `.wh..wh.*` entries (aufs' own) are skipped.
/// - Of entries with the same path the last wins, whatever their types; a directory stays where it is a directory
/// again.
/// - Owners, modes (setuid and sticky too), times, device nodes, FIFOs, hard links and symbolic links as the archive
///   says; extended attributes security.capability, user.* and POSIX ACLs. Others are skipped and counted: trusted.*
///   and the rest of security.* mean something to the host (overlayfs, LSMs), not to a plugin.
/// - A directory whose entry a layer does not repeat keeps its time, whatever that layer changes in it.
/// Confinement: the worker's root is `rootfs`, so nothing leads out. Names are taken relative to it whether or not they
/// begin with "/"; a ".." in a name or in a hard link's target is refused; parents that are symbolic links are followed
/// as after a chroot (/lib -> usr/lib of an earlier layer is legitimate), and must exist. Targets of symbolic links are
/// data. Every layer is read to its end; for gzip, CRC and length of each member are verified; bytes after the last
/// member are an error (padding with zeros is not), as is a tar that ends in the middle of an entry.
///
/// Errors name the layer (from 1) and the entry, escaped. The tree is then half done: remove_tree() it.
/// Durability is the caller's: syncfs(2) on `rootfs` once, which is cheaper than an fsync for each file.
/// `cancel_fd` (or -1): readable means give up; the error is then of the kind `cancelled`.
/// Privileges: root with CAP_SYS_CHROOT, CHOWN, DAC_OVERRIDE, FOWNER, FSETID, MKNOD, SETFCAP.
/// Thread: any that may wait (a worker, never the core loop); it must not end before the call does.
[[nodiscard]] ArchiveResult<UnpackReport> unpack_layers(const std::vector<LayerInput>& layers, int rootfs,
                                                        const ArchiveLimits& limits = {}, int cancel_fd = -1,
                                                        const LayerProgress& progress = {});

/// Unpacks a plain archive (tar, also compressed by gzip, zstd, xz or bzip2) from a file or pipe into the empty
/// directory `destination`, for OCI archives that are loaded. Regular files (mode 0600) and directories (0700) of the
/// caller's own user only; any other entry is an error, a name with ".." too. Otherwise as unpack_layers().
[[nodiscard]] ArchiveResult<UnpackReport> extract_archive(int archive, int destination,
                                                          const ArchiveLimits& limits = {}, int cancel_fd = -1);

}  // namespace brokerd
