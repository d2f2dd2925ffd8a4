#include "daemon/proxy/descriptor_store.h"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include <cstdlib>

#include "common/os/system_error.h"
#include "daemon/loop/log.h"

namespace brokerd {
namespace {

void notify(const std::string& state, const int* descriptor) {
    const int code = sd_pid_notify_with_fds(0, 0, state.c_str(), descriptor, descriptor != nullptr ? 1 : 0);
    if (code < 0) log_warning("systemd's descriptor store cannot be told ({}): {}", state, errno_text(-code));
}

}  // namespace

void store_descriptor(const std::string& name, int descriptor) {
    notify(fmt::format("FDSTORE=1\nFDNAME={}", name), &descriptor);
}

void remove_from_store(const std::string& name) {
    notify(fmt::format("FDSTOREREMOVE=1\nFDNAME={}", name), nullptr);
}

bool has_descriptor_store() {
    const char* const size = std::getenv("FDSTORE");  // NOLINT(concurrency-mt-unsafe): nothing changes it
    return size != nullptr && std::atoi(size) > 0 && std::getenv("NOTIFY_SOCKET") != nullptr;  // NOLINT
}

}  // namespace brokerd
