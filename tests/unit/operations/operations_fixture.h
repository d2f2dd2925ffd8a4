#pragma once

#include <catch2/catch.hpp>
#include <string>

#include "daemon/operations/create.h"
#include "daemon/operations/rooms.h"
#include "tests/unit/archive/archive_fixture.h"
#include "tests/unit/control/test_operations.h"
#include "tests/unit/managed/store_fixture.h"

namespace brokerd::test {

using File = std::pair<std::string, std::string>;
using Kind = OperationError::Kind;

/// A plugin that asks for something of every kind and lets everything be set that can be.
inline constexpr const char* kConfig = R"({
    "description": "a test", "entrypoint": ["/p"],
    "interface": {"types": ["docker.volumedriver/1.0"], "socket": "p.sock"},
    "network": {"type": "host"},
    "mounts": [{"name": "data", "source": "/srv", "destination": "/data", "type": "bind", "options": ["rbind"],
                "settable": ["source"]}],
    "env": [{"name": "DEBUG", "value": "0", "settable": ["value"]}, {"name": "FIXED", "value": "x"}],
    "args": {"name": "args", "value": ["-a"], "settable": ["value"]},
    "linux": {"devices": [{"name": "fuse", "path": "/dev/fuse", "settable": ["path"]}],
              "capabilities": ["CAP_SYS_ADMIN"]}})";

/// A host's managed plugins, in a directory that goes with it.
class Operations {
public:
    [[nodiscard]] const OperationRooms& rooms() const noexcept { return operations_.rooms(); }
    /// What operations ask of running plugins.
    [[nodiscard]] FakePluginRuns& runs() const noexcept { return operations_.runs(); }
    [[nodiscard]] const std::string& path() const noexcept { return root_.path(); }
    /// What is being put together, or was left behind.
    [[nodiscard]] std::vector<std::string> unfinished() const { return names_below(root_.plugins("tmp")); }
    [[nodiscard]] std::vector<std::string> blobs() const { return names_below(path() + "/blobs/sha256"); }

    /// Adds a plugin without image and without unpacking, which takes no root. Throws.
    PluginRecordPtr add(const std::string& name, bool enabled = false, const std::string& config = kConfig) const {
        PluginRecord record = make_record(name);
        record.config = std::make_shared<const PluginConfig>(parse(config));
        record.config_bytes = std::make_shared<const std::string>(config);
        record.settings = PluginSettings::defaults_of(*record.config);
        record.granted = required_privileges(*record.config);
        record.enabled = enabled;
        record.manifest_digest.reset();
        record.config_digest.reset();
        record.layer_digests.clear();
        return add(std::move(record));
    }
    PluginRecordPtr add(PluginRecord record) const {
        auto added = rooms().plugins.change(
            [&](PluginStore& store) { return store.install(make_staged(store, "x"), std::move(record)); });
        if (!added) throw std::runtime_error{added.error().message};
        return *added;
    }
    /// As `docker plugin create` does it, from a tar. Needs root.
    [[nodiscard]] OperationResult<PluginRecordPtr> create(const std::string& name,
                                                          const std::string& config = kConfig) const {
        const UniqueFd tar = file_with(
            tar_of(File{"config.json", config}, File{"rootfs/", ""}, File{"rootfs/p", "the program of " + name}));
        NoProgress silence;
        return create_plugin(rooms(), name, {tar.get(), whole}, silence, -1);
    }
    [[nodiscard]] PluginRecordPtr find(const std::string& name) const {
        return rooms().plugins.read([&](const PluginStore& store) { return store.find_name(name); });
    }

    [[nodiscard]] static PluginConfig parse(const std::string& config) {
        auto parsed = PluginConfig::parse(config);
        if (!parsed) throw std::runtime_error{parsed.error().str()};
        return *std::move(parsed);
    }
    /// UploadedArchive::what_is_missing of an archive that came whole.
    [[nodiscard]] static std::optional<Error> whole() { return std::nullopt; }

private:
    StateRoot root_;
    mutable TestOperations operations_{root_.path()};
};

template <class T>
void check_error(const OperationResult<T>& result, Kind kind, const std::string& message) {
    REQUIRE_FALSE(result);
    CHECK(result.error().kind == kind);
    CHECK_THAT(result.error().message, Catch::Contains(message));
}

}  // namespace brokerd::test
