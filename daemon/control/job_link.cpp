#include "daemon/control/job_link.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>

#include "common/os/system_error.h"
#include "daemon/control/http_server.h"

namespace brokerd {
namespace {

UniqueFd duplicate(int fd) {
    UniqueFd copy{::fcntl(fd, F_DUPFD_CLOEXEC, 0)};
    if (!copy) throw_errno("fcntl(F_DUPFD_CLOEXEC)");
    return copy;
}

UniqueFd new_eventfd() {
    UniqueFd fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (!fd) throw_errno("eventfd");
    return fd;
}

}  // namespace

JobLink::JobLink(std::shared_ptr<Mailbox<HttpServer&>> server, const Exchange& exchange, int socket, Settings settings)
    : server_{std::move(server)},
      exchange_{exchange},
      settings_{settings},
      socket_{duplicate(socket)},
      cancelled_{new_eventfd()},
      body_{settings.body_is_whole ? BodyState::whole : BodyState::coming} {}

void JobLink::want_body(UniqueFd pipe) {
    // A std::function has to be copyable.
    auto shared = std::make_shared<UniqueFd>(std::move(pipe));
    server_->post(
        [exchange = exchange_, shared](HttpServer& server) { server.open_body(exchange, std::move(*shared)); });
}

void JobLink::conclude(JobConclusion conclusion) {
    server_->post([exchange = exchange_, conclusion = std::move(conclusion)](HttpServer& server) {
        server.conclude(exchange, conclusion);
    });
}

void JobLink::ended() {
    server_->post([exchange = exchange_](HttpServer& server) { server.job_ended(exchange); });
}

void JobLink::cancel() noexcept {
    is_cancelled_ = true;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto ignored = ::write(cancelled_.get(), &one, sizeof one);
    ::shutdown(socket_.get(), SHUT_RDWR);
}

void JobLink::end_body(BodyState state, std::string why) {
    if (body_ != BodyState::coming) return;
    malformed_because_ = std::move(why);
    body_ = state;
}

}  // namespace brokerd
