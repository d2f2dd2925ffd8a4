#pragma once

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

#include "daemon/archive/remove_tree.h"
#include "daemon/operations/rooms.h"
#include "tests/fakes/fake_plugin_runs.h"

namespace brokerd::test {

/// Managed plugins below `directory`: none at first, and no registry.
class TestOperations {
public:
    explicit TestOperations(const std::string& directory)
        : blobs_{open_blobs(directory)},
          installed_{open_store(directory), [](const auto&) {}},
          logs_{directory + "/logs", LogTarget::files} {}

    [[nodiscard]] const OperationRooms& rooms() const noexcept { return rooms_; }
    [[nodiscard]] FakePluginRuns& runs() noexcept { return runs_; }

private:
    static std::unique_ptr<BlobStore> open_blobs(const std::string& directory) {
        std::filesystem::create_directories(directory);
        auto opened = BlobStore::open(directory + "/blobs");
        if (!opened) throw std::runtime_error{opened.error().message};
        return *std::move(opened);
    }
    static PluginStore open_store(const std::string& directory) {
        auto opened = PluginStore::open(directory, [](int parent, const std::string& name) -> Result<bool> {
            return static_cast<bool>(remove_tree(parent, name));
        });
        if (!opened) throw std::runtime_error{opened.error().message};
        return std::move(opened->store);
    }

    std::unique_ptr<BlobStore> blobs_;
    InstalledPlugins installed_;
    PluginClaims claims_;
    Current<RegistrySettings> registries_{RegistrySettings{}};
    ArchiveLimits limits_;
    FakePluginRuns runs_;
    PluginLogs logs_;
    OperationRooms rooms_{installed_, claims_, *blobs_, registries_, limits_, runs_, logs_};
};

}  // namespace brokerd::test
