#pragma once

#include <string>

#include "daemon/archive/plugin_tar.h"
#include "daemon/operations/image_fetch.h"
#include "daemon/operations/on_done.h"
#include "daemon/operations/operation_error.h"
#include "daemon/operations/progress.h"
#include "daemon/operations/rooms.h"
#include "daemon/operations/uploaded_archive.h"

namespace brokerd {

/// Writes into the store and hands out the sink for PackedLayer's bytes, and what the layer became.
class LayerBlob {
public:
    [[nodiscard]] static OperationResult<LayerBlob> begin(BlobStore& blobs);
    [[nodiscard]] LayerSink sink();
    /// The layer's digest and size; it is pinned.
    [[nodiscard]] OperationResult<BlobPin> commit();
    [[nodiscard]] std::uint64_t size() const noexcept { return writer_.written(); }

private:
    explicit LayerBlob(BlobWriter writer) noexcept : writer_{std::move(writer)} {}

    BlobWriter writer_;
};

/// Makes an image of a config and one layer, as `docker plugin create` does: config blob and manifest are written to
/// the store, the layer is there already.
[[nodiscard]] OperationResult<StoredImage> make_image(BlobStore& blobs, PluginConfig config, BlobPin layer,
                                                      std::uint64_t layer_size);

/// The same of a config's bytes as they are, and layers that the caller has pinned; it pins the rest.
[[nodiscard]] OperationResult<StoredImage> image_of(BlobStore& blobs, const std::string& config_bytes,
                                                    const std::vector<BlobSize>& layers);

/// `docker plugin create`: a plugin from a tar of config.json and rootfs/. The one who creates it grants what its
/// config asks for.
[[nodiscard]] OperationResult<PluginRecordPtr> create_plugin(const OperationRooms& rooms, const std::string& name,
                                                             const UploadedArchive& archive, Progress& progress,
                                                             int cancelled, const OnDone& done = {});

}  // namespace brokerd
