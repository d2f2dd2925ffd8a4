#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/json.h"
#include "common/result.h"
#include "daemon/managed/plugin_settings.h"

namespace brokerd {

/// One thing that a plugin may do to the host, as `GET /plugins/privileges` prints it (engine API, `PluginPrivilege`).
struct Privilege {
    std::string name;         ///< "network", "mount", …
    std::string description;  ///< for people; never compared
    std::vector<std::string> value;

    friend bool operator==(const Privilege&, const Privilege&) = default;
};

using Privileges = std::vector<Privilege>;

/// What the config asks for, in Docker's order and words: network (other than none, null and bridge), host ipc
/// namespace, host pid namespace, a mount each, a device each, allow-all-devices, capabilities.
///
/// This is Docker's list and nothing more, although Docker hides some things (see undisclosed_access): people keep this
/// list in files (Terraform, Ansible, compose tools send it as "granted" without asking first), and with an entry more
/// their installs would be refused here and not by Docker. What Docker hides is shown beside it, not in it.
[[nodiscard]] Privileges required_privileges(const PluginConfig& config);

/// The same with the sources and paths that the settings give.
[[nodiscard]] Privileges required_privileges(const PluginConfig& config, const PluginSettings& settings);

/// What the plugin gets and no privilege of Docker's tells: where each mount with a source goes and with which options
/// ("mount target"), the propagated mount, the bridge network. To be shown to the operator before granting; in the same
/// form so that it prints the same way. Never part of a comparison.
[[nodiscard]] Privileges undisclosed_access(const PluginConfig& config);

/// Whether both grant the same: as multisets of (name, multiset of values), every element included; order and
/// descriptions do not count.
[[nodiscard]] bool equal(const Privileges& granted, const Privileges& required);

/// What `wanted` has and `granted` has not, in `wanted`'s order. Of capabilities only the new ones.
[[nodiscard]] Privileges added(const Privileges& granted, const Privileges& wanted);

/// Whether `sent` consents to an upgrade: all that the new version requires (what a docker client sends) or exactly
/// what it requires beyond `recorded` (what pluginctl asks for).
[[nodiscard]] bool consents_to_upgrade(const Privileges& sent, const Privileges& recorded, const Privileges& required);

enum class Consent {
    as_granted,       ///< only what is recorded: at every start, and for state that somebody may have edited
    settable_values,  ///< the caller is the operator, who has just named the new values: `set`
};

/// What is recorded after a check.
struct Grant {
    Privileges granted;  ///< to be recorded: exactly what config and settings need now
    Privileges added;    ///< not granted before: to be reported and logged
    Privileges dropped;  ///< granted before and not needed any more
};

/// Compares what the plugin would get now with what was granted. More than that is an error, which names it, except
/// with Consent::settable_values for sources and paths that the config declares settable: the operator typed them,
/// `set` is for those who may do everything here, and a stock docker client has no way to ask again. So that consent is
/// given once and for this value: it replaces the old one in the record, is reported as `added`, and a plugin never
/// gets a path that nobody named.
[[nodiscard]] Result<Grant> check_granted(const PluginConfig& config, const PluginSettings& settings,
                                          const Privileges& granted, Consent consent);

/// Reads the JSON array of Privilege objects that clients send. No bytes and null are the empty list. Limits: 1 MiB,
/// 4096 privileges, 4096 values each.
[[nodiscard]] Result<Privileges> parse_privileges(std::string_view bytes);
[[nodiscard]] Result<Privileges> read_privileges(const rapidjson::Value& value);

void write_privileges(JsonWriter& writer, const Privileges& privileges);

/// "network [host], capabilities [CAP_SYS_ADMIN]"
[[nodiscard]] std::string describe(const Privileges& privileges);

}  // namespace brokerd
