#pragma once

#include <string>
#include <string_view>

namespace brokerd {

/// Whether Docker knows a capability of this name. Source: Docker Plugin API, "/Plugin.Activate", and the plugin kinds
/// of Docker Engine 1.7 to 28 (volume, network, IPAM, authorization, log, graph, metrics, secrets).
[[nodiscard]] bool is_known_capability(std::string_view name) noexcept;

/// The capability that a plugin must implement for `method` ("VolumeDriver.Create" asks for VolumeDriver).
/// Docker's authorization calls are the exception: "AuthZPlugin.AuthZReq" asks for "authz". Empty where `method` does
/// not have the form Capability.Method.
[[nodiscard]] std::string_view capability_of_method(std::string_view method) noexcept;

/// The capability that a managed plugin's config means by an interface type's lower-case name: "VolumeDriver" for the
/// "volumedriver" of "docker.volumedriver/1.0". Other names are what they are.
[[nodiscard]] std::string_view capability_of_type(std::string_view type) noexcept;

/// The capability that a managed plugin's config means by an interface type: "VolumeDriver" by the "volumedriver" of
/// "docker.volumedriver/1.0", in any case. Other names are what they are.
[[nodiscard]] std::string_view capability_of_type(std::string_view type) noexcept;

}  // namespace brokerd
