#pragma once

#include "common/json.h"
#include "daemon/managed/json_field.h"
#include "daemon/managed/plugin_config.h"

/// What configs and settings are both made of: mounts, devices, variables, lists. Reading validates; writing is in the
/// form of Docker's API, members in its order.
namespace brokerd {

void read_mounts(const JsonField& list, NullableList<PluginMount>& out);
void read_devices(const JsonField& list, NullableList<PluginDevice>& out);

/// What is wrong with a value that an operator or an image gives; empty: nothing.
[[nodiscard]] std::string mount_source_fault(const PluginMount& mount, std::string_view source);
[[nodiscard]] std::string device_path_fault(std::string_view path);
/// "must be an absolute path", "must not have …": for paths that must be absolute and clean. A slash at the end is
/// accepted.
[[nodiscard]] std::string absolute_path_fault(std::string_view path);

/// Every element is in `allowed`, a field that this kind of thing has.
void check_settable(const JsonField& list, const NullableList<std::string>& settable, std::string_view allowed);

void write_docker_json(JsonWriter& writer, const NullableList<std::string>& list);
void write_docker_json(JsonWriter& writer, const NullableList<PluginMount>& mounts);
void write_docker_json(JsonWriter& writer, const NullableList<PluginDevice>& devices);
void write_nullable(JsonWriter& writer, const std::optional<std::string>& text);

}  // namespace brokerd
