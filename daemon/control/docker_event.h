#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace brokerd {

/// One thing that somebody did to a managed plugin, as Docker tells of it (Engine API, "Monitor events"): of type
/// "plugin" and local scope. Not to be mixed up with PluginEvent, which tells what plugins do.
struct DockerEvent {
    std::string action;  ///< create, pull, enable, disable or remove; Docker has no others for plugins
    std::string id;      ///< the plugin's; of a pull, the image, as users call it
    std::string name;    ///< of the plugin, as the client wrote it
    std::chrono::system_clock::time_point time{};  ///< given by DockerEvents::tell()
};

/// The event as Docker writes it, on a line of its own.
[[nodiscard]] std::string line_of(const DockerEvent& event);

/// Which events a watcher wants: filters={"KEY": ["VALUE", …]}, or the older {"KEY": {"VALUE": true}}. Of several
/// values one must match, of several keys all. As in Docker, a key that means other objects looks at the plugin's ID
/// and name (so it hardly ever matches), and one that Docker does not know is ignored.
class DockerEventFilter {
public:
    /// The error is one sentence. An empty text filters nothing. Limits: parse_filters().
    [[nodiscard]] static Result<DockerEventFilter> parse(const std::string& text);

    [[nodiscard]] bool passes(const DockerEvent& event) const;

private:
    [[nodiscard]] bool has_exactly(std::string_view key, std::string_view value) const;
    [[nodiscard]] bool has_beginning(std::string_view key, std::string_view value) const;
    [[nodiscard]] bool has_image(const std::string& id) const;
    [[nodiscard]] bool has_label(const DockerEvent& event) const;

    std::map<std::string, std::vector<std::string>, std::less<>> values_;
};

}  // namespace brokerd
