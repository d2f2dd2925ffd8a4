#include "daemon/runtime/plugin_places.h"

namespace brokerd {

PluginPlaces::PluginPlaces(const RuntimeSettings& settings, const std::string& id)
    : rootfs{settings.state_root + "/plugins/" + id + "/rootfs"},
      propagated_mount{settings.state_root + "/plugins/" + id + "/propagated-mount"},
      log_directory{settings.state_root + "/logs/" + id},
      exec{settings.runtime_root + "/exec/" + id},
      bundle{settings.runtime_root + "/bundles/" + id},
      lock{bundle + "/lock"},
      runtime_state{settings.runtime_root + "/runtime-state"} {}

}  // namespace brokerd
