#pragma once

#include <string>

#include "daemon/images/image_manifest.h"
#include "daemon/operations/operation_error.h"
#include "daemon/operations/progress.h"
#include "daemon/operations/rooms.h"
#include "daemon/registry/registry_credentials.h"

namespace brokerd {

struct Pushed {
    std::string tag;
    Digest digest;
    std::uint64_t size = 0;  ///< of the manifest
};

/// `docker plugin push`: uploads what the registry of the plugin's name does not have, and puts the manifest there
/// under the plugin's tag, byte for byte as it was installed or created.
[[nodiscard]] OperationResult<Pushed> push_plugin(const OperationRooms& rooms, const std::string& name,
                                                  const RegistryCredentials& credentials, Progress& progress,
                                                  int cancelled);

/// The image that an installed plugin was made from, with its blobs pinned. An error where there is none, or where a
/// blob of it is missing.
struct InstalledImage {
    std::string manifest_bytes;
    ImageManifest manifest;
    std::vector<BlobPin> pins;
};
[[nodiscard]] OperationResult<InstalledImage> installed_image(const OperationRooms& rooms, const PluginRecord& record);

}  // namespace brokerd
