#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "common/os/unique_fd.h"
#include "common/result.h"

namespace brokerd {

/// Another way to a daemon's socket than connect(2): a program that carries the bytes, such as ssh. Thread: any.
class Tunnel {
public:
    /// One connection; the program that carries it ends with the object.
    class Connection {
    public:
        virtual ~Connection() = default;

        /// Our end. Precondition: not taken before.
        [[nodiscard]] virtual UniqueFd take_socket() = 0;
        /// For a connection that ended too early, once the socket is closed: why, in the words of the program, which
        /// may quote the other side. Empty for none. May wait for the program's end, some seconds.
        [[nodiscard]] virtual std::string complaint() = 0;

        /// Readable once a signal has come that is to end the exchange, and then us; -1 for none. Borrowed.
        [[nodiscard]] virtual int interrupt_fd() const noexcept = 0;
        /// The other side has begun to answer with a stream: from now on signals may act at once.
        virtual void answered() noexcept = 0;
    };

    virtual ~Tunnel() = default;

    /// The error is for the user.
    [[nodiscard]] virtual Result<std::unique_ptr<Connection>> open() const = 0;
    /// How long an exchange that has `time` by itself may take through this, with all that opening takes.
    [[nodiscard]] virtual std::chrono::milliseconds time_for(std::chrono::milliseconds time) const = 0;
};

/// Where a control socket is, and how it is reached. Cheap to copy.
class ControlHost {
public:
    /// A Unix socket on this host; implicit, for most callers have but a path.
    ControlHost(std::string socket_path) : name_{std::move(socket_path)} {}  // NOLINT(google-explicit-constructor)
    /// What `tunnel` reaches; `name` is what people call it.
    ControlHost(std::string name, std::shared_ptr<const Tunnel> tunnel)
        : name_{std::move(name)}, tunnel_{std::move(tunnel)} {}

    /// The socket's path, or what people call the other host.
    [[nodiscard]] const std::string& str() const noexcept { return name_; }
    /// nullptr: str() is a path to connect to.
    [[nodiscard]] const Tunnel* tunnel() const noexcept { return tunnel_.get(); }

private:
    std::string name_;
    std::shared_ptr<const Tunnel> tunnel_;
};

}  // namespace brokerd
