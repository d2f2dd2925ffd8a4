#pragma once

#include <map>
#include <memory>
#include <unordered_map>

#include "tests/bench/load/address.h"
#include "tests/bench/load/message.h"
#include "tests/bench/load/poller.h"
#include "tests/bench/load/stream.h"

namespace brokerd::bench {

/// The plugin: answers `/Plugin.Activate` with a volume driver's manifest, and anything else with 200 and as many bytes
/// as the digits at the end of the path say (200 where there are none). Request bodies are read and forgotten.
class Origin {
public:
    /// `tls` is for the TLS addresses; borrowed.
    Origin(Poller& poller, SSL_CTX* tls);
    ~Origin();
    /// Returns the port, 0 for a Unix socket.
    unsigned listen(const Address& address);

private:
    class Listener;
    class Connection;
    friend Connection;

    [[nodiscard]] Head understand(std::string_view head);
    void add(UniqueFd fd, SSL_CTX* tls);
    void drop(Connection& connection);

    Poller& poller_;
    SSL_CTX* tls_;
    HeadMemory heads_;
    Message manifest_;
    std::map<std::uint64_t, Message> answers_;
    std::vector<std::unique_ptr<Listener>> listeners_;
    std::unordered_map<Connection*, std::shared_ptr<Connection>> connections_;
    std::vector<char> buffer_;
};

}  // namespace brokerd::bench
