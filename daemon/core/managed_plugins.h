#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/plugin_view.h"
#include "daemon/managed/plugin_record.h"

namespace brokerd {

/// As engines call what a config declares ("docker.volumedriver/1.0"), where Docker knows it.
[[nodiscard]] std::vector<std::string> declared_capabilities(const PluginConfig& config);

/// The installed plugins as the core knows them: what the operator asked for, told by whoever keeps it on disk.
/// Thread: the core loop's.
class ManagedPlugins {
public:
    using Tell = std::function<void(PluginEvent event, const std::string& id)>;

    /// `directory`: where each plugin has one of its own, by ID. `tell` publishes an event.
    ManagedPlugins(std::string directory, Tell tell) : directory_{std::move(directory)}, tell_{std::move(tell)} {}

    /// These are all of them now. What changed since the last time becomes events; the first time nothing does.
    void apply(const std::vector<PluginRecordPtr>& records);

    /// Nothing can be known of them: the state root cannot be used, for this reason.
    void set_unavailable(std::string reason) { unavailable_ = std::move(reason); }
    [[nodiscard]] bool is_available() const noexcept { return unavailable_.empty(); }

    /// As they lie on disk; whether one runs is for others to add.
    [[nodiscard]] std::vector<PluginView> list() const;
    /// By name, with or without the tag "latest", or by ID.
    [[nodiscard]] std::optional<PluginView> find(const std::string& name) const;
    /// What keeps plugins from working as they lie on disk.
    [[nodiscard]] std::vector<Finding> doctor() const;

private:
    [[nodiscard]] PluginView view(const PluginRecord& record) const;
    [[nodiscard]] std::string directory_of(const PluginRecord& record) const { return directory_ + "/" + record.id; }
    void tell(std::string action, const PluginRecord& record, std::string detail) const;

    const std::string directory_;
    const Tell tell_;
    std::map<std::string, PluginRecordPtr> by_name_;
    std::string unavailable_;  ///< empty: all is well
    bool known_ = false;       ///< whether apply() was called
};

}  // namespace brokerd
