#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/operations/on_done.h"
#include "daemon/operations/operation_error.h"
#include "daemon/operations/progress.h"
#include "daemon/operations/rooms.h"
#include "daemon/operations/uploaded_archive.h"

/// Plugins that travel as a file, for hosts without network.
namespace brokerd {

/// Takes an archive's bytes as they come.
using ArchiveSink = std::function<Result<bool>(std::string_view bytes)>;

/// Writes an installed plugin as one OCI archive: a tar of an OCI image layout, with the plugin's name, settings and
/// granted privileges beside it. Fails before it has written anything, or because of `sink`.
[[nodiscard]] OperationResult<std::monostate> save_plugin(const OperationRooms& rooms, const std::string& name,
                                                          const ArchiveSink& sink);

/// An image that was read from an archive and waits in the store to be installed.
struct StagedImage {
    Digest digest;                      ///< of its manifest: for install_staged()
    std::string reference;              ///< what the archive calls it; may be empty
    Privileges privileges;              ///< what it asks for, by its config and the settings below
    Privileges undisclosed;             ///< what it gets besides; see undisclosed_access()
    std::vector<std::string> settings;  ///< arguments of `set` that make the saved settings; none where none were saved
};

/// Reads an OCI archive (a tar of an OCI image layout, also compressed). What the archive says was
/// granted elsewhere grants nothing here: whoever installs it does.
[[nodiscard]] OperationResult<StagedImage> load_archive(const OperationRooms& rooms, const UploadedArchive& archive,
                                                        Progress& progress, int cancelled);

/// Installs what load_archive() staged. `privileges` are the ones that it told; `arguments` are applied to the default
/// settings. Must follow within ten minutes.
[[nodiscard]] OperationResult<PluginRecordPtr> install_staged(const OperationRooms& rooms, const Digest& digest,
                                                              const std::string& name, const Privileges& privileges,
                                                              const std::vector<std::string>& arguments,
                                                              Progress& progress, int cancelled,
                                                              const OnDone& done = {});

}  // namespace brokerd
