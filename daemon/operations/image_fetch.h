#pragma once

#include <string>
#include <vector>

#include "common/image_reference.h"
#include "daemon/archive/archive_error.h"
#include "daemon/images/blob_store.h"
#include "daemon/images/image_manifest.h"
#include "daemon/operations/operation_error.h"
#include "daemon/operations/progress.h"
#include "daemon/registry/repository_client.h"

namespace brokerd {

/// An image as far as its manifest and config say what it is; nothing of it is on disk yet.
struct ResolvedImage {
    Digest digest;               ///< of the manifest; for an index, of the chosen platform's
    std::string manifest_bytes;  ///< verified, as the registry has them
    ImageManifest manifest;
    std::string config;  ///< the config blob's bytes, verified
};

/// A pinned image: all its blobs are in the store.
struct StoredImage {
    ResolvedImage image;
    std::vector<BlobPin> pins;
};

/// Asks the registry what `reference` is; of an index, this machine's entry. Refuses what is no plugin.
[[nodiscard]] OperationResult<ResolvedImage> resolve_image(RepositoryClient& registry, const ImageReference& reference,
                                                           Progress& progress);

/// Brings the image's blobs into the store, several layers at a time; those that are there already stay. On failure
/// nothing unfinished remains; whole layers stay for the next attempt, until they are collected.
[[nodiscard]] OperationResult<StoredImage> fetch_image(RepositoryClient& registry, ResolvedImage image,
                                                       BlobStore& blobs, Progress& progress);

/// The same failure in the words of operations.
[[nodiscard]] OperationError operation_error(const RegistryError& error);
[[nodiscard]] OperationError operation_error(const BlobError& error);
[[nodiscard]] OperationError operation_error(const ArchiveError& error);
/// Of an archive that was unpacked into the directory `target`: where the disk is at fault, it is named.
[[nodiscard]] OperationError operation_error(const ArchiveError& error, const std::string& target);

}  // namespace brokerd
