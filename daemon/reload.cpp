#include "daemon/reload.h"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include <variant>

#include "daemon/config/config_changes.h"
#include "daemon/loop/log.h"
#include "daemon/loop/log_entry.h"
#include "daemon/settings.h"

namespace brokerd {
namespace {

/// sd_notify(3): systemd compares this time with that of its own request.
long long monotonic_microseconds() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<long long>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1000;
}

std::string listed(const std::vector<std::string_view>& names) {
    return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

void Reload::operator()() {
    /// Whatever happens, systemd must not wait for ever.
    struct Told {
        std::string status = "the reload failed; see the log";
        Told() { sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", monotonic_microseconds()); }
        ~Told() { sd_notifyf(0, "READY=1\nSTATUS=%s", status.c_str()); }
    } told;
    told.status = read_config();
    parts_.installed.reload();
    parts_.discovery.rescan();
    parts_.plugins.restore_published();
}

std::string Reload::read_config() {
    const auto loaded = load_config(argc_, argv_);
    const auto* const refused = std::get_if<EarlyExit>(&loaded);
    parts_.plugins.note_config(refused == nullptr);
    if (refused != nullptr) {
        log_entry({LogLevel::error,
                   fmt::format("the configuration is refused, all settings stay as they are: {}", refused->reason),
                   message::kConfigRefused,
                   {{"REASON", refused->reason}}});
        return fmt::format("configuration refused: {}", refused->reason);
    }
    const ConfigChanges changes = take_over(in_force_, std::get<Config>(loaded));
    if (!changes.taken.empty()) apply();
    log_entry({LogLevel::info,
               changes.taken.empty() ? std::string{"reloaded; no setting has changed that can be while brokerd runs"}
                                     : fmt::format("reloaded; now in force: {}", listed(changes.taken)),
               message::kReloaded});
    if (changes.need_restart.empty()) return "reloaded";
    const std::string restart = fmt::format("{}: needs a restart", listed(changes.need_restart));
    log_entry({LogLevel::warning,
               fmt::format("{} (systemctl restart brokerd), until then the old value holds", restart),
               message::kNeedsRestart,
               {{"SETTINGS", listed(changes.need_restart)}}});
    return "reloaded; " + restart;
}

void Reload::apply() {
    set_log_level(log_level(in_force_));
    parts_.registries.set(registry_settings(in_force_));
    parts_.control.set_broker(broker_facts(in_force_));
    if (parts_.runner) parts_.runner->use_runtime(in_force_.oci_runtime);
    parts_.plugins.configure(table_settings(in_force_));
    parts_.plugins.configure_managed(in_force_.health_interval, in_force_.restart_unhealthy);
    parts_.discovery.configure(discovery_settings(in_force_));
}

}  // namespace brokerd
