#include "daemon/managed/config_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/plugin_name.h"

namespace brokerd {
namespace {

/// PATH_MAX: the kernel takes no longer path.
constexpr std::size_t kMaxPathBytes = 4095;

/// Things are set by name: a second one of the same name could never be reached.
template <class T>
void check_names_differ(const JsonField& list, const NullableList<T>& all) {
    std::set<std::string_view> seen;
    const std::vector<JsonField> fields = list.elements();
    for (std::size_t i = 0; i < all.size() && i < fields.size(); ++i) {
        if (!all[i].name.empty() && !seen.insert(all[i].name).second) {
            fields[i].member("name").refuse(fmt::format("\"{}\" is there twice", escaped(all[i].name, 60)));
        }
    }
}

PluginMount read_mount(const JsonField& field) {
    PluginMount mount;
    if (field.missing()) field.refuse("must be an object");
    field.expect_object();
    field.member("name").read(mount.name);
    field.member("description").read(mount.description);
    field.member("source").read(mount.source);
    field.member("destination").read(mount.destination);
    field.member("type").read(mount.type);
    field.member("options").read(mount.options);
    field.member("settable").read(mount.settable);
    const std::string destination_fault = absolute_path_fault(mount.destination);
    if (!destination_fault.empty()) field.member("destination").refuse(destination_fault);
    if (mount.destination == "/") field.member("destination").refuse("must not be the plugin's whole file system");
    if (mount.source) {
        const std::string fault = mount_source_fault(mount, *mount.source);
        if (!fault.empty()) field.member("source").refuse(fault);
    }
    check_settable(field.member("settable"), mount.settable, "source");
    return mount;
}

PluginDevice read_device(const JsonField& field) {
    PluginDevice device;
    if (field.missing()) field.refuse("must be an object");
    field.expect_object();
    field.member("name").read(device.name);
    field.member("description").read(device.description);
    field.member("path").read(device.path);
    field.member("settable").read(device.settable);
    if (device.path) {
        const std::string fault = device_path_fault(*device.path);
        if (!fault.empty()) field.member("path").refuse(fault);
    }
    check_settable(field.member("settable"), device.settable, "path");
    return device;
}

}  // namespace

std::string absolute_path_fault(std::string_view path) {
    if (path.empty() || path.front() != '/') return "must be an absolute path";
    if (path.size() > kMaxPathBytes) return fmt::format("is longer than {} bytes", kMaxPathBytes);
    if (path.find('\0') != std::string_view::npos) return "contains a NUL character";
    std::string_view rest = path.substr(1);
    while (!rest.empty()) {
        const std::string_view part = rest.substr(0, rest.find('/'));
        if (part.empty()) return "must not have two slashes in a row";
        if (part == "." || part == "..") return "must not have \".\" or \"..\" in it";
        rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    }
    return {};
}

std::string mount_source_fault(const PluginMount& mount, std::string_view source) {
    if (source.find('\0') != std::string_view::npos) return "contains a NUL character";
    if (source.size() > kMaxPathBytes) return fmt::format("is longer than {} bytes", kMaxPathBytes);
    // Empty: to be set by the operator. Other types have sources that are no paths ("tmpfs", "//server/share").
    if (source.empty() || !mount.is_bind()) return {};
    return absolute_path_fault(source);
}

std::string device_path_fault(std::string_view path) {
    return path.empty() ? std::string{} : absolute_path_fault(path);
}

void check_settable(const JsonField& list, const NullableList<std::string>& settable, std::string_view allowed) {
    const std::vector<JsonField> fields = list.elements();
    for (std::size_t i = 0; i < settable.size() && i < fields.size(); ++i) {
        if (settable[i] != allowed) {
            fields[i].refuse(fmt::format("cannot be set; only \"{}\" can", allowed));
        }
    }
}

void read_mounts(const JsonField& list, NullableList<PluginMount>& out) {
    if (list.missing()) return;
    std::vector<PluginMount> mounts;
    for (const JsonField& element : list.elements()) mounts.push_back(read_mount(element));
    out = NullableList<PluginMount>{std::move(mounts)};
    check_names_differ(list, out);
}

void read_devices(const JsonField& list, NullableList<PluginDevice>& out) {
    if (list.missing()) return;
    std::vector<PluginDevice> devices;
    for (const JsonField& element : list.elements()) devices.push_back(read_device(element));
    out = NullableList<PluginDevice>{std::move(devices)};
    check_names_differ(list, out);
}

void write_nullable(JsonWriter& writer, const std::optional<std::string>& text) {
    if (text) {
        write_string(writer, *text);
    } else {
        writer.Null();
    }
}

void write_docker_json(JsonWriter& writer, const NullableList<std::string>& list) {
    if (list.missing()) {
        writer.Null();
        return;
    }
    writer.StartArray();
    for (const std::string& item : list) write_string(writer, item);
    writer.EndArray();
}

void write_docker_json(JsonWriter& writer, const NullableList<PluginMount>& mounts) {
    if (mounts.missing()) {
        writer.Null();
        return;
    }
    writer.StartArray();
    for (const PluginMount& mount : mounts) {
        writer.StartObject();
        write_member(writer, "Description", mount.description);
        write_member(writer, "Destination", mount.destination);
        write_member(writer, "Name", mount.name);
        write_key(writer, "Options");
        write_docker_json(writer, mount.options);
        write_key(writer, "Settable");
        write_docker_json(writer, mount.settable);
        write_key(writer, "Source");
        write_nullable(writer, mount.source);
        write_member(writer, "Type", mount.type);
        writer.EndObject();
    }
    writer.EndArray();
}

void write_docker_json(JsonWriter& writer, const NullableList<PluginDevice>& devices) {
    if (devices.missing()) {
        writer.Null();
        return;
    }
    writer.StartArray();
    for (const PluginDevice& device : devices) {
        writer.StartObject();
        write_member(writer, "Description", device.description);
        write_member(writer, "Name", device.name);
        write_key(writer, "Path");
        write_nullable(writer, device.path);
        write_key(writer, "Settable");
        write_docker_json(writer, device.settable);
        writer.EndObject();
    }
    writer.EndArray();
}

}  // namespace brokerd
