#include "common/json.h"
#include "common/plugin_name.h"
#include "daemon/control/handlers.h"
#include "daemon/control/lease_connections.h"

namespace brokerd {
namespace {

/// Also tells the holder that brokerd has it: a claim that may be lost on the way would protect nobody.
std::string first_line(const std::string& plugin, const LeaseHolder& holder) {
    return json_text([&](JsonWriter& writer) {
               writer.StartObject();
               write_member(writer, "Plugin", plugin);
               write_key(writer, "Pid");
               writer.Int(holder.pid);
               writer.EndObject();
           }) +
           "\n";
}

}  // namespace

void lease_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    const auto name = PluginName::parse(request.path.find("name")->second);
    if (!name) return exchange.reply(error_reply::bad_plugin_name(name.error().message));
    const PeerProcess peer = rooms.server.peer(exchange);
    rooms.core.ask(exchange, [exchange, peer, name = name->str(), &connections = rooms.leases](PluginQueries& core) {
        const auto plugin = core.find(name);
        if (!plugin) return exchange.reply(error_reply::plugin_not_found(name));
        if (plugin->enabled == false) return exchange.reply(error_reply::plugin_disabled(*plugin));
        const LeaseHolder holder{peer.pid, peer.name, std::chrono::system_clock::now()};
        auto lease = core.leases().take(plugin->name, holder);
        if (!lease) return exchange.reply(error_reply::too_many_leases(lease.error()));
        connections.hold(exchange, *std::move(lease), first_line(plugin->name, holder));
    });
}

}  // namespace brokerd
