#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "common/endpoint.h"
#include "common/plugin_name.h"
#include "daemon/activation/activation.h"
#include "daemon/proxy/path_rewrite.h"

namespace brokerd {

/// A managed plugin as it is offered to engines.
struct PluginOffer {
    std::string id;                            ///< of the plugin
    std::string name;                          ///< with tag: "vieux/sshfs:latest"
    std::vector<PluginName> names;             ///< that engines may call it by; the first is `name`
    std::string directory;                     ///< where its files are, for people
    Endpoint endpoint;                         ///< the socket that it is to listen on
    std::vector<std::string> capabilities;     ///< that its config declares
    std::shared_ptr<const PathRewrite> paths;  ///< may be null
    std::chrono::milliseconds window{30'000};  ///< for its first answer
};

/// The way from running plugins to the sockets that engines see. PluginTable implements it; tests put a fake in its
/// place. Thread: the core loop's.
class PluginOffers {
public:
    virtual ~PluginOffers() = default;

    /// Publishes the plugin and asks for its manifest as soon as it listens. Legacy plugins of these names step back.
    virtual void offer(PluginOffer offer) = 0;
    /// The end of it; legacy plugins of these names take their place again. Nothing where it is not offered.
    virtual void withdraw(const std::string& id) = 0;
    /// It is known not to answer, for this reason: calls wait, within the activation window, for its return.
    virtual void report_down(const std::string& id, const std::string& reason) = 0;
    /// The plugin's way to "active"; null where it is not offered.
    [[nodiscard]] virtual const Activation* activation(const std::string& id) const = 0;
};

}  // namespace brokerd
