#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/discovery/discovery.h"
#include "tests/unit/loop/loop_fixture.h"

namespace brokerd::test {

/// What a Discovery has told, as whoever listens to it would keep it.
class ToldTable {
public:
    using Definitions = std::map<std::string, PluginDefinition>;

    ToldTable(CoreLoop& loop, DiscoverySettings settings, Discovery::IsOwnSocket is_own_socket = {})
        : discovery_{loop, std::move(settings), std::move(is_own_socket),
                     [this](const std::string& name, const std::optional<PluginDefinition>& definition) {
                         take(name, definition);
                     }} {}

    void start() { discovery_.start(); }
    void rescan() { discovery_.rescan(); }
    void configure(const DiscoverySettings& settings) { discovery_.configure(settings); }

    /// The definition of a name; a blank one where there is none.
    [[nodiscard]] PluginDefinition operator[](const std::string& name) const {
        const auto found = definitions.find(name);
        return found == definitions.end() ? PluginDefinition{} : found->second;
    }
    /// Its endpoint's URL, or "invalid", or "absent".
    [[nodiscard]] std::string endpoint(const std::string& name) const {
        const auto found = definitions.find(name);
        if (found == definitions.end()) return "absent";
        return found->second.endpoint ? found->second.endpoint->str() : "invalid";
    }

    Definitions definitions;
    std::vector<std::string> calls;     ///< names, in order of telling
    std::vector<std::string> mistakes;  ///< what Discovery should not have told

private:
    void take(const std::string& name, const std::optional<PluginDefinition>& definition) {
        calls.push_back(name);
        const auto known = definitions.find(name);
        if (!definition) {
            if (known == definitions.end()) mistakes.push_back(name + " vanished, but was not there");
            definitions.erase(name);
            return;
        }
        if (definition->name != name) mistakes.push_back(name + " is told as " + definition->name);
        if (definition->endpoint.has_value() != (definition->problem == PluginDefinition::Problem::none)) {
            mistakes.push_back(name + " has both an endpoint and a problem, or neither");
        }
        if (known != definitions.end() && known->second == *definition)
            mistakes.push_back(name + " is told without a change");
        definitions.insert_or_assign(name, *definition);
    }

    Discovery discovery_;
};

/// Three private plugin directories; which of them exist is up to the test.
class PluginDirectories {
public:
    [[nodiscard]] DiscoverySettings settings() const { return {run(""), {etc(""), usr("")}, false}; }
    [[nodiscard]] std::string run(const std::string& name) const { return directory_ / ("run" + slash(name)); }
    [[nodiscard]] std::string etc(const std::string& name) const { return directory_ / ("etc" + slash(name)); }
    [[nodiscard]] std::string usr(const std::string& name) const { return directory_ / ("usr" + slash(name)); }
    [[nodiscard]] std::string beside(const std::string& name) const { return directory_ / name; }

    void create() const {
        for (const std::string& path : {run(""), etc(""), usr("")}) std::filesystem::create_directory(path);
    }

private:
    static std::string slash(const std::string& name) { return name.empty() ? name : '/' + name; }

    TemporaryDirectory directory_;
};

/// What a Discovery that starts now finds.
inline ToldTable::Definitions fresh_scan(const DiscoverySettings& settings, const Discovery::IsOwnSocket& own = {}) {
    CoreLoop loop;
    ToldTable table{loop, settings, own};
    table.start();
    return table.definitions;
}

}  // namespace brokerd::test
