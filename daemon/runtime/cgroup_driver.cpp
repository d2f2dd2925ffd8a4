#include "daemon/runtime/cgroup_driver.h"

#include "daemon/runtime/systemd_manager.h"

namespace brokerd {

CgroupDriver choose_cgroup_driver() {
    return systemd_state() ? CgroupDriver::systemd : CgroupDriver::cgroupfs;
}

std::string cgroups_path(CgroupDriver driver, const std::string& id) {
    return driver == CgroupDriver::systemd ? "brokerd.slice:brokerd:" + id : "/brokerd/" + id;
}

}  // namespace brokerd
