#include "daemon/settings.h"

#include <cstdlib>

namespace brokerd {

LogLevel log_level(const Config& config) {
    switch (config.log_level) {
        case Config::LogDetail::error:
            return LogLevel::error;
        case Config::LogDetail::warning:
            return LogLevel::warning;
        case Config::LogDetail::info:
            return LogLevel::info;
        case Config::LogDetail::debug:
            return LogLevel::debug;
    }
    std::abort();
}

DiscoverySettings discovery_settings(const Config& config) {
    return {config.engine_socket_dir, config.spec_dirs, config.allow_unsafe_files};
}

PluginTableSettings table_settings(const Config& config) {
    PluginTableSettings settings;
    settings.activation.window = config.activation_timeout;
    settings.eager = !config.lazy_activation;
    settings.managed_directory = config.state_root + "/plugins";
    settings.proxy = {config.proxy_threads, config.max_connections, config.request_timeout, config.unread_timeout};
    const AnswerTimeouts& timeouts = config.answer_timeouts;
    settings.answer_limits.general = std::make_shared<const AnswerLimits>(timeouts.general);
    for (const auto& [plugin, its] : timeouts.plugins) {
        settings.answer_limits.by_plugin[plugin] =
            std::make_shared<const AnswerLimits>(its.general.value_or(timeouts.general), its.methods);
    }
    return settings;
}

RegistrySettings registry_settings(const Config& config) {
    RegistrySettings settings;
    settings.insecure_hosts = config.insecure_registries;
    settings.mirrors = config.registry_mirrors;
    settings.certs_dir = config.registry_certs;
    settings.proxies = NetworkProxies::from_environment(
        [](const char* name) { return getenv(name); });  // NOLINT(concurrency-mt-unsafe): nobody sets any
    return settings;
}

RuntimeSettings runtime_settings(const Config& config) {
    RuntimeSettings settings;
    settings.runtime = config.oci_runtime;
    settings.state_root = config.state_root;
    settings.runtime_root = config.runtime_root;
    return settings;
}

BrokerFacts broker_facts(const Config& config) {
    return {config.state_root, config.oci_runtime, config.live_restore};
}

}  // namespace brokerd
