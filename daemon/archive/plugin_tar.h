#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "common/digest.h"
#include "daemon/archive/archive_error.h"
#include "daemon/archive/limits.h"

namespace brokerd {

/// Ours: a config.json is some KiB; Docker has no limit.
inline constexpr std::uint64_t kMaxPluginConfigBytes = std::uint64_t{1} << 20;

struct PackedLayer {
    Digest diff_id;  ///< sha256 of the uncompressed tar: an entry of the config's rootfs.diff_ids
    std::uint64_t entries = 0;
    std::uint64_t tar_bytes = 0;         ///< uncompressed
    std::uint64_t compressed_bytes = 0;  ///< written to the sink
    std::uint64_t skipped = 0;           ///< sockets, which no archive can hold, and attributes as in UnpackReport
};

struct PluginTar {
    std::string config;  ///< config.json's bytes, not looked at
    PackedLayer layer;   ///< of rootfs/
};

/// Takes the layer's compressed bytes as they come. An error ends the job and becomes its error. Thread: the caller's.
using LayerSink = std::function<Result<bool>(std::string_view bytes)>;

/// Called now and then with the number of bytes read so far. Thread: the caller's.
using PackProgress = std::function<void(std::uint64_t bytes)>;

/// Reads a plugin's tar, the body of Docker's `POST /plugins/create`: config.json and rootfs/ at its top (also as
/// ./config.json), in any order, from a file or pipe; it may be compressed by gzip, zstd, xz or bzip2. rootfs/ becomes
/// a layer, gzip-compressed: the names without "rootfs/", all else as it was (sparse files without
/// their holes, times in whole seconds, as in Docker's own layers). Other
/// top-level entries are ignored, as Docker does. Exactly one config.json: of two, Docker takes the last, but who sees
/// the archive listed or unpacked half-way sees the first, so neither can be what was meant.
/// The same input gives the same bytes. Memory does not grow with the archive.
/// Whether the layer can be unpacked is known only after unpack_layers().
/// Errors, `cancel_fd`, thread and privileges: as unpack_layers().
[[nodiscard]] ArchiveResult<PluginTar> read_plugin_tar(int archive, const LayerSink& sink,
                                                       const ArchiveLimits& limits = {}, int cancel_fd = -1,
                                                       const PackProgress& progress = {});

/// Packs what is in the directory `rootfs` (an open descriptor) into a layer, gzip-compressed: sorted by name, with
/// owners, modes, times (whole seconds), extended attributes (as unpack_layers() keeps), hard links, devices and FIFOs;
/// sockets are skipped. Does not cross mount points: what is mounted inside is left out, its directory stays. A file
/// that changes its size while it is read is an error. For a plugin made by hand, and for import. Errors, `cancel_fd`,
/// thread: as unpack_layers(); privileges: root with CAP_SYS_CHROOT and DAC_READ_SEARCH.
[[nodiscard]] ArchiveResult<PackedLayer> pack_rootfs(int rootfs, const LayerSink& sink,
                                                     const ArchiveLimits& limits = {}, int cancel_fd = -1,
                                                     const PackProgress& progress = {});

}  // namespace brokerd
