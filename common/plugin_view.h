#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/json.h"
#include "common/plugin_limits.h"

namespace brokerd {

/// Somebody who holds a lease on a plugin, as it was when it was taken. For people to read: by the time that they do,
/// the number may belong to another process.
struct LeaseHolder {
    int pid = 0;                                    ///< JSON Pid; 0 where the kernel did not tell
    std::string command;                            ///< JSON Command: what it calls itself; may be empty
    std::chrono::system_clock::time_point since{};  ///< JSON Since
};

/// Whether engines' calls are handed to a plugin in this state (JSON State).
[[nodiscard]] inline bool is_in_service(std::string_view state) noexcept {
    return state == "active" || state == "running" || state == "unhealthy";
}

/// What the control API says of one plugin, the same struct on both sides of the socket.
/// Times are wall-clock; an absent time is the epoch and is left out of the JSON.
struct PluginView {
    using Time = std::chrono::system_clock::time_point;

    /// A definition of the same name that does not count, because another comes first in the search order.
    struct Shadow {
        std::string file;
        std::string reason;
    };
    struct Tls {
        std::string verify;  ///< "CAFile", "system" or "none"
        bool client_certificate = false;
    };

    std::string name;             ///< JSON Name
    std::string kind = "legacy";  ///< JSON Kind: legacy or managed
    /// JSON State: discovered, activating, active, failed, invalid; of a managed plugin disabled, starting, running,
    /// unhealthy, stopping, restarting, failed.
    std::string state;
    std::vector<std::string> implements;  ///< JSON Implements: the manifest, empty until the first activation
    std::string endpoint;                 ///< JSON Endpoint: URL, empty where the definition is invalid
    std::string definition;               ///< JSON Definition: the file that defines it
    std::vector<std::string> published;   ///< JSON Published: paths of the sockets that engines can use
    std::string reason;                   ///< JSON Reason: why it is not active
    Time since{};                         ///< JSON Since: when it entered this state
    unsigned attempts = 0;                ///< JSON Attempts: handshakes tried since it left the last good state
    Time next_attempt{};                  ///< JSON NextAttempt: when the next handshake is due
    std::optional<Tls> tls;               ///< JSON TLS {Verify, ClientCertificate}
    std::vector<std::string> warnings;    ///< JSON Warnings
    std::vector<Shadow> shadows;          ///< JSON Shadows [{File, Reason}]
    std::vector<LeaseHolder> leases;      ///< JSON Leases: who claims to use it, in the order of taking

    // Of a managed plugin, and left out of the JSON for others:
    std::string id;               ///< JSON Id: 64 hexadecimal digits
    std::string reference;        ///< JSON Reference: the image that it was installed from
    std::string description;      ///< JSON Description
    std::optional<bool> enabled;  ///< JSON Enabled: what the operator asked for
    unsigned restarts = 0;        ///< JSON Restarts: unexpected ends and failed starts since it was enabled
    PluginLimits limits;          ///< JSON Limits {Memory, NanoCpus, Pids}: those that there are
    std::string last_exit;        ///< JSON LastExit: how its newest run ended ("exited with status 1"), may be empty
    int pid = 0;                  ///< JSON Pid: of its first process; 0 where none runs

    /// Whether engines' calls are handed to it now.
    [[nodiscard]] bool in_service() const noexcept { return is_in_service(state); }
};

/// One thing that happened to a plugin.
struct PluginEvent {
    std::uint64_t sequence = 0;  ///< JSON Sequence: grows by one with each event of this brokerd process
    std::chrono::system_clock::time_point time{};  ///< JSON Time
    /// JSON Action: discovered, redefined, activating, active, changed, failed, invalid, gone; of a managed plugin
    /// installed, upgraded, set, enabled, disabled, removed, and what it does: starting, running, unhealthy, stopping,
    /// stopped, restarting, failed.
    std::string action;
    std::string plugin;                   ///< JSON Plugin
    std::string kind = "legacy";          ///< JSON Kind
    std::vector<std::string> implements;  ///< JSON Implements
    std::string detail;                   ///< JSON Detail: one sentence for a person, may be empty
};

/// One thing that keeps a plugin from working, or soon will, and what to do about it.
struct Finding {
    std::string plugin;    ///< JSON Plugin
    std::string severity;  ///< JSON Severity: error or warning
    std::string problem;   ///< JSON Problem: shadowed, invalid, name-mismatch, unsafe-owner, unreachable,
                           ///< wrong-capability, certificate, rejected, not-published, broken, state-root, warning
    std::string file;      ///< JSON File: where to look, may be empty
    std::string cause;     ///< JSON Cause: what is wrong, one sentence
    std::string remedy;    ///< JSON Remedy: what to do, one sentence
};

void write_json(JsonWriter& writer, const PluginView& view);
void write_json(JsonWriter& writer, const PluginEvent& event);
void write_json(JsonWriter& writer, const Finding& finding);

/// Missing or ill-typed members become empty ones: the other side may be another version.
[[nodiscard]] PluginView plugin_view_from_json(const rapidjson::Value& value);
[[nodiscard]] PluginEvent plugin_event_from_json(const rapidjson::Value& value);
[[nodiscard]] Finding finding_from_json(const rapidjson::Value& value);

/// RFC 3339 in UTC with nanoseconds, as Docker writes times; empty for the epoch.
[[nodiscard]] std::string format_time(std::chrono::system_clock::time_point time);
/// The inverse; the epoch where `text` is not such a time.
[[nodiscard]] std::chrono::system_clock::time_point parse_time(std::string_view text);

}  // namespace brokerd
