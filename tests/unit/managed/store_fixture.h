#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "daemon/managed/plugin_store.h"

namespace brokerd::test {

/// A private state root, removed at the end.
class StateRoot {
public:
    StateRoot();
    ~StateRoot();
    StateRoot(const StateRoot&) = delete;
    StateRoot& operator=(const StateRoot&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string plugins(const std::string& below = {}) const { return path_ + "/plugins/" + below; }

private:
    std::string path_;
};

/// Opens the store; an error ends the test. `findings`: what was found, unless null.
PluginStore open_store(const std::string& root, std::vector<std::string>* findings = nullptr);

/// A record as an install makes it. `marker` goes into the config's description.
PluginRecord make_record(const std::string& name, const std::string& marker = "");

/// A staged plugin with a file "marker" of this content in its rootfs.
StagedPlugin make_staged(PluginStore& store, const std::string& marker);

/// Stages and installs.
PluginRecordPtr install(PluginStore& store, const std::string& name, const std::string& marker = "");

std::string read_file(const std::string& path);
void write_file(const std::string& path, const std::string& content);

/// What is in STATE/plugins/tmp.
std::vector<std::string> names_below(const std::string& path);

/// Removes a tree of the tests' own making.
Result<bool> remove_simple_tree(int parent, const std::string& name);

}  // namespace brokerd::test
