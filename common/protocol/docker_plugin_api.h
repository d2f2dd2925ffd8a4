#pragma once

#include <chrono>
#include <string_view>

/// Facts of the Docker Plugin API (docs.docker.com, "Docker Plugin API") that more than one folder needs.
namespace brokerd::docker_plugin_api {

/// "Handshake API": the first call that an engine makes to a plugin.
inline constexpr std::string_view kActivatePath = "/Plugin.Activate";
/// "API versioning": what engines accept and plugins answer with.
inline constexpr std::string_view kMediaType = "application/vnd.docker.plugins.v1.2+json";

}  // namespace brokerd::docker_plugin_api
