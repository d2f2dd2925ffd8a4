#include <chrono>

#include "cli/command_table.h"
#include "cli/process/byte_relay.h"
#include "cli/session.h"
#include "common/control_exchange.h"
#include "common/unix_http.h"

namespace brokerd::cli {
namespace {

/// Ours: a daemon that takes no connection for so long hangs.
constexpr std::chrono::seconds kConnectTime{15};

ExitStatus run(Session& session) {
    const ControlHost& host = session.client().host();
    if (host.tunnel() != nullptr)
        return session.usage_error("from here no other host can be dialled; write unix://PATH");
    const auto socket = connect_to(host.str(), kConnectTime);
    if (!socket) return session.failure(to_client_error(socket.error(), host.str()));
    const auto lost = relay_bytes(session.input_fd, session.out.fd(), socket->get());
    return lost ? session.failure(lost->message) : ExitStatus::success;
}

}  // namespace

Run dial_stdio_command(CLI::App&) {
    return run;
}

}  // namespace brokerd::cli
