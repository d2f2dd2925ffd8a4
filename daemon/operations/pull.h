#pragma once

#include <string>
#include <vector>

#include "common/image_reference.h"
#include "daemon/operations/on_done.h"
#include "daemon/operations/operation_error.h"
#include "daemon/operations/progress.h"
#include "daemon/operations/rooms.h"
#include "daemon/registry/registry_credentials.h"

namespace brokerd {

/// An image in a registry, and on whose behalf it is asked for.
struct RemoteImage {
    ImageReference reference;  ///< with tag or digest
    RegistryCredentials credentials;
};

/// What a plugin would get.
struct RequestedAccess {
    Privileges privileges;   ///< to be granted, as `GET /plugins/privileges` tells them
    Privileges undisclosed;  ///< what it gets besides, and Docker does not tell; see undisclosed_access()
};

/// What the image asks for. A failure is one: never "asks for nothing".
[[nodiscard]] OperationResult<RequestedAccess> requested_access(const OperationRooms& rooms, const RemoteImage& image,
                                                                int cancelled);

/// Installs from a registry, as `POST /plugins/pull`; see install_image(). `alias` may be empty.
[[nodiscard]] OperationResult<PluginRecordPtr> pull(const OperationRooms& rooms, const RemoteImage& image,
                                                    const std::string& alias, const Privileges& granted,
                                                    Progress& progress, int cancelled, const OnDone& done = {});

/// Gives an installed plugin another image, as `POST /plugins/{name}/upgrade`: its settings are merged, its granted
/// privileges replaced by `granted` (all of the new image's, or those that are new), and on any failure all is as
/// before. What of the settings is lost is told.
[[nodiscard]] OperationResult<PluginRecordPtr> upgrade(const OperationRooms& rooms, const std::string& name,
                                                       const RemoteImage& image, const Privileges& granted,
                                                       Progress& progress, int cancelled, const OnDone& done = {});

}  // namespace brokerd
