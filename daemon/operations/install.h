#pragma once

#include <string>
#include <vector>

#include "daemon/operations/image_fetch.h"
#include "daemon/operations/on_done.h"
#include "daemon/operations/operation_error.h"
#include "daemon/operations/progress.h"
#include "daemon/operations/rooms.h"

namespace brokerd {

/// How a plugin is to be installed.
struct InstallRequest {
    std::string name;                    ///< familiar, with tag: local_name()
    std::string remote;                  ///< long form of where it comes from
    Privileges granted;                  ///< must equal what the image asks for
    std::vector<std::string> arguments;  ///< as of `set`, applied to its settings
    OnDone done{};
};

/// The name that a plugin gets here: `alias`, or what `remote` is called without its digest, with the tag "latest"
/// where there is none. Docker's rule for `docker plugin install [--alias]`.
[[nodiscard]] OperationResult<std::string> local_name(const std::string& alias, const ImageReference& remote);

/// The config of an image, validated.
[[nodiscard]] OperationResult<std::shared_ptr<const PluginConfig>> read_config(const ResolvedImage& image,
                                                                               std::string_view name);

/// Says what is granted and what is asked for, where they differ.
[[nodiscard]] Failure<OperationError> refuse_privileges(const std::string& name, const Privileges& granted,
                                                        const Privileges& required);

/// Notes in the record which image the plugin is made from.
void note_image(PluginRecord& record, const ResolvedImage& image);

/// Unpacks the image's layers into the staged rootfs; what is there afterwards is on the disk. `cancelled` becomes
/// readable when the work is to be given up.
[[nodiscard]] OperationResult<StagedPlugin> unpack_image(const OperationRooms& rooms, const ResolvedImage& image,
                                                         Progress& progress, int cancelled);

/// Installs an image whose blobs are in the store: checks config and privileges, unpacks, and adds it to the inventory,
/// disabled. A name that is taken is a conflict, whatever image it is of: pull() looks before it comes here.
/// The caller holds the claim of the name.
[[nodiscard]] OperationResult<PluginRecordPtr> install_image(const OperationRooms& rooms, const StoredImage& stored,
                                                             const InstallRequest& request, Progress& progress,
                                                             int cancelled);

/// The plugin that is called `name` here (a name, an ID or its unique beginning), or what Docker says where there is
/// none.
[[nodiscard]] OperationResult<PluginRecordPtr> find_plugin(const OperationRooms& rooms, std::string_view name);

[[nodiscard]] OperationError operation_error(const StoreError& error);
[[nodiscard]] OperationError operation_error(const FindError& error);

}  // namespace brokerd
