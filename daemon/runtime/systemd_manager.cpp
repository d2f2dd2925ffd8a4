#include "daemon/runtime/systemd_manager.h"

#include <sys/stat.h>
#include <systemd/sd-bus.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace brokerd {
namespace {

using Clock = std::chrono::steady_clock;

/// Ours: a bus that takes longer to greet somebody than this will not start a scope in time either.
constexpr std::chrono::seconds kPatience{5};

struct CloseBus {
    void operator()(sd_bus* bus) const noexcept { sd_bus_close_unref(bus); }
};
using Bus = std::unique_ptr<sd_bus, CloseBus>;

std::uint64_t microseconds_until(Clock::time_point until) {
    const auto left = std::chrono::duration_cast<std::chrono::microseconds>(until - Clock::now()).count();
    return static_cast<std::uint64_t>(std::max<std::int64_t>(left, 0));
}

/// The greeting, which sd-bus itself would wait for much longer.
bool becomes_ready(sd_bus* bus, Clock::time_point until) {
    while (sd_bus_is_ready(bus) == 0) {
        const int done = sd_bus_process(bus, nullptr);
        if (done < 0) return false;
        if (done > 0) continue;
        const std::uint64_t left = microseconds_until(until);
        if (left == 0 || sd_bus_wait(bus, left) < 0) return false;
    }
    return sd_bus_is_ready(bus) > 0;
}

/// sd_booted(3): this directory is there only where systemd is the init of this host.
bool systemd_is_init() {
    struct stat status {};
    return lstat("/run/systemd/system", &status) == 0 && S_ISDIR(status.st_mode);
}

}  // namespace

std::optional<std::string> systemd_state() {
    const auto until = Clock::now() + kPatience;
    sd_bus* opened = nullptr;
    if (!systemd_is_init() || sd_bus_open_system(&opened) < 0) return std::nullopt;
    const Bus bus{opened};
    if (!becomes_ready(bus.get(), until)) return std::nullopt;
    sd_bus_set_method_call_timeout(bus.get(), std::max<std::uint64_t>(microseconds_until(until), 1));
    char* state = nullptr;
    const int asked = sd_bus_get_property_string(bus.get(), "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                                 "org.freedesktop.systemd1.Manager", "SystemState", nullptr, &state);
    const std::unique_ptr<char, void (*)(void*)> text{state, std::free};
    if (asked < 0) return std::nullopt;
    return state;
}

bool host_is_stopping() {
    return systemd_state() == "stopping";
}

}  // namespace brokerd
