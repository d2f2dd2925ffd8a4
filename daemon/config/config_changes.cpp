#include "daemon/config/config_changes.h"

#include <array>

namespace brokerd {
namespace {

/// Whether a running brokerd can change it. Those that it cannot are where clients, engines and plugins find brokerd
/// and what it keeps: moving them would drop connections, which a restart does not.
enum class When : std::uint8_t { at_once, after_restart };

struct Setting {
    std::string_view name;
    When when;
    bool (*is_same)(const Config&, const Config&);
    void (*take)(Config& to, const Config& from);
};

template <auto member>
constexpr Setting setting(std::string_view name, When when = When::at_once) {
    return {name, when, [](const Config& one, const Config& other) { return one.*member == other.*member; },
            [](Config& to, const Config& from) { to.*member = from.*member; }};
}

constexpr std::array kSettings{
    setting<&Config::control_socket>("control-socket", When::after_restart),
    setting<&Config::group>("group", When::after_restart),
    setting<&Config::state_root>("state-root", When::after_restart),
    setting<&Config::runtime_root>("runtime-root", When::after_restart),
    setting<&Config::engine_socket_dir>("engine-socket-dir", When::after_restart),
    setting<&Config::spec_dirs>("spec-dir"),
    setting<&Config::proxy_threads>("proxy-threads", When::after_restart),
    setting<&Config::max_connections>("max-connections"),
    setting<&Config::request_timeout>("request-timeout"),
    setting<&Config::unread_timeout>("unread-timeout"),
    setting<&Config::answer_timeouts>("answer-timeout"),
    setting<&Config::activation_timeout>("activation-timeout"),
    setting<&Config::lazy_activation>("activation"),
    setting<&Config::insecure_registries>("insecure-registry"),
    setting<&Config::registry_mirrors>("registry-mirror"),
    setting<&Config::registry_certs>("registry-certs"),
    setting<&Config::oci_runtime>("oci-runtime"),
    setting<&Config::live_restore>("live-restore"),
    setting<&Config::health_interval>("health-interval"),
    setting<&Config::restart_unhealthy>("restart-unhealthy"),
    setting<&Config::allow_unsafe_files>("allow-unsafe-files"),
    setting<&Config::log_level>("log-level"),
};

}  // namespace

ConfigChanges take_over(Config& in_force, const Config& next) {
    ConfigChanges changes;
    for (const Setting& setting : kSettings) {
        if (setting.is_same(in_force, next)) continue;
        if (setting.when == When::after_restart) {
            changes.need_restart.push_back(setting.name);
        } else {
            setting.take(in_force, next);
            changes.taken.push_back(setting.name);
        }
    }
    return changes;
}

std::vector<std::string_view> setting_names() {
    std::vector<std::string_view> names;
    for (const Setting& setting : kSettings) names.push_back(setting.name);
    return names;
}

}  // namespace brokerd
