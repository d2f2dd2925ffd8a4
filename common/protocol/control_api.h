#pragma once

#include <string_view>

/// Paths and headers of the control API (daemon/control/openapi.yaml is its reference).
namespace brokerd::control_api {

inline constexpr std::string_view kPlugins = "/broker/v1/plugins";
inline constexpr std::string_view kEvents = "/broker/v1/events";
inline constexpr std::string_view kDoctor = "/broker/v1/doctor";
inline constexpr std::string_view kStats = "/broker/v1/stats";
inline constexpr std::string_view kPrivileges = "/broker/v1/privileges";
inline constexpr std::string_view kPrune = "/broker/v1/prune";
inline constexpr std::string_view kPing = "/_ping";
inline constexpr std::string_view kVersion = "/version";

inline constexpr std::string_view kJson = "application/json";
/// One JSON object a line.
inline constexpr std::string_view kNdjson = "application/x-ndjson";

/// An archive, in either direction.
inline constexpr std::string_view kTar = "application/x-tar";

/// Where the control socket is unless -H or BROKERD_HOST says otherwise.
inline constexpr std::string_view kDefaultSocket = "/run/brokerd/control.sock";

}  // namespace brokerd::control_api
