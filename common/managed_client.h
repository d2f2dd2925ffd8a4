#pragma once

#include <rapidjson/document.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/client_error.h"
#include "common/plugin_limits.h"
#include "common/result.h"
#include "common/secrets.h"
#include "common/unix_http.h"

namespace brokerd {

/// Something that a plugin wants of the host beyond what every plugin gets (Engine API, PluginPrivilege).
struct RequestedPrivilege {
    std::string name;                ///< JSON Name: "network", "mount" …
    std::string description;         ///< JSON Description
    std::vector<std::string> value;  ///< JSON Value: what of it, such as "host"; several for several

    friend bool operator==(const RequestedPrivilege&, const RequestedPrivilege&) = default;
};

/// One line of an answer that reports while the work goes on (Docker's JSON progress messages). Untrusted text.
struct ProgressMessage {
    std::string status;         ///< JSON status: "Downloading"
    std::string id;             ///< JSON id: of which layer, may be empty
    std::uint64_t current = 0;  ///< JSON progressDetail.current, bytes
    std::uint64_t total = 0;    ///< JSON progressDetail.total, 0 where nobody knows
};

/// Asks the daemon on its control socket for what concerns managed plugins, one connection for each call. The paths
/// without /broker/v1 are Docker's Engine API, so that these work with a dockerd's socket too.
/// Thread: any. Every call waits for its answer; none throws for what the daemon does. Those that take a
/// ProgressHandler may last for as long as the daemon works; closing their connection, which `interrupt_fd` does by
/// becoming readable, makes the daemon give up. Then the error is ClientError::Kind::interrupted.
class ManagedClient {
public:
    using ProgressHandler = std::function<void(const ProgressMessage&)>;
    using Privileges = std::vector<RequestedPrivilege>;

    /// What `load` put aside, to be installed once somebody agrees to its privileges.
    struct Staged {
        std::string digest;
        std::string reference;  ///< empty where the archive has no name for it
        Privileges privileges;
        Privileges undisclosed;             ///< as undisclosed_access()
        std::vector<std::string> settings;  ///< "KEY=VALUE"
    };
    struct Imported {
        struct Skipped {
            std::string name;
            std::string reason;
        };
        std::vector<std::string> imported;  ///< names
        std::vector<Skipped> skipped;
    };
    struct Pruned {
        std::vector<std::string> blobs;
        std::vector<std::string> directories;
        std::uint64_t bytes = 0;  ///< on disk
    };
    /// What of Docker's plugin object the commands need, and the object as it came.
    struct Plugin {
        std::string name;
        std::string reference;
        bool enabled = false;
        std::string json;
    };

    explicit ManagedClient(ControlHost host) noexcept : http_{std::move(host)} {}

    /// Asks the registry of `remote`. `auth` is for X-Registry-Auth, in all of these, empty for none.
    [[nodiscard]] Result<Privileges, ClientError> remote_privileges(std::string_view remote,
                                                                    std::string_view auth) const;
    /// What `remote` would get besides, which Docker's list does not tell: targets of mounts, a propagated mount, the
    /// bridge network. A daemon that does not know this question answers with status 404.
    [[nodiscard]] Result<Privileges, ClientError> undisclosed_access(std::string_view remote,
                                                                     std::string_view auth) const;
    /// Those that the installed plugin `name` has. A daemon that does not know this question answers with status 404.
    [[nodiscard]] Result<Privileges, ClientError> granted_privileges(std::string_view name) const;

    /// Installs `remote` as `name`, which may be empty: then under its own. Returns the name that it has now, empty
    /// where the daemon does not tell.
    [[nodiscard]] Result<std::string, ClientError> pull(std::string_view remote, std::string_view name,
                                                        const Privileges& granted, std::string_view auth,
                                                        const ProgressHandler& progress, int interrupt_fd) const;
    [[nodiscard]] Result<int, ClientError> upgrade(std::string_view name, std::string_view remote,
                                                   const Privileges& granted, std::string_view auth,
                                                   const ProgressHandler& progress, int interrupt_fd) const;
    [[nodiscard]] Result<int, ClientError> push(std::string_view name, std::string_view auth,
                                                const ProgressHandler& progress, int interrupt_fd) const;
    /// `tar` has config.json and rootfs/.
    [[nodiscard]] Result<int, ClientError> create(std::string_view name, const BodyStream& tar, int interrupt_fd) const;

    /// `secrets`: in `json`; a daemon that does not know this shows them.
    [[nodiscard]] Result<Plugin, ClientError> inspect(std::string_view name, Secrets secrets = Secrets::hidden) const;
    /// `settings` are "KEY=VALUE".
    [[nodiscard]] Result<int, ClientError> set(std::string_view name, const std::vector<std::string>& settings) const;
    /// Both or none; unlike set() not a call of Docker's.
    [[nodiscard]] Result<int, ClientError> set(std::string_view name, const std::vector<std::string>& settings,
                                               const LimitsChange& limits) const;
    /// Waits until the plugin has answered; it has `timeout` for that, zero for what the daemon knows of it.
    [[nodiscard]] Result<int, ClientError> enable(std::string_view name, std::chrono::seconds timeout) const;
    /// Waits until the plugin has ended. `force`: also one that is in use.
    [[nodiscard]] Result<int, ClientError> disable(std::string_view name, bool force) const;
    [[nodiscard]] Result<int, ClientError> remove(std::string_view name, bool force) const;

    /// `tar` is an OCI image layout.
    [[nodiscard]] Result<Staged, ClientError> load(const BodyStream& tar, const ProgressHandler& progress,
                                                   int interrupt_fd) const;
    /// Installs what load() put aside, as `name`. Returns the name that it has now.
    [[nodiscard]] Result<std::string, ClientError> install_staged(const Staged& staged, std::string_view name) const;
    /// Hands the archive on as it comes; see UnixHttp::Receiver. An answer that `receive` ended is a success here.
    [[nodiscard]] Result<int, ClientError> save(std::string_view name, const UnixHttp::Receiver& receive,
                                                int interrupt_fd) const;
    /// Takes over the plugins of a Docker engine; `path` is a directory on the daemon's side.
    [[nodiscard]] Result<Imported, ClientError> import(std::string_view path, const ProgressHandler& progress,
                                                       int interrupt_fd) const;
    [[nodiscard]] Result<Pruned, ClientError> prune() const;

private:
    /// Runs a request that reports progress; returns the last `aux` object, null where there was none, and with `name`
    /// the header Docker-Plugin-Name.
    [[nodiscard]] Result<rapidjson::Document, ClientError> work(const HttpRequest& request,
                                                                const ProgressHandler& progress, int interrupt_fd,
                                                                std::string* name = nullptr) const;

    UnixHttp http_;
};

}  // namespace brokerd
