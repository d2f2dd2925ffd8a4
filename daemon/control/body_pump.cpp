#include "daemon/control/body_pump.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

// Copied through a buffer, not spliced: a chunked body, which is what Docker's clients send, needs its framing looked
// at in any case, and copying is fast enough for a control socket (see tests/unit/control/job_body_test.cpp).

namespace brokerd {

std::size_t BodyPump::take_body(std::string_view piece) {
    std::size_t taken = 0;
    while (taken < piece.size()) {
        const ssize_t count = ::write(pipe_.get(), piece.data() + taken, piece.size() - taken);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) {
            unwanted_ = errno != EAGAIN;
            break;
        }
        taken += static_cast<std::size_t>(count);
    }
    moved_ += taken;
    return taken;
}

BodyPump::Step BodyPump::feed(std::string_view bytes, std::size_t& used) {
    switch (body_.parse(bytes, *this, used)) {
        case ParseStatus::done:
            return Step::whole;
        case ParseStatus::malformed:
            return Step::malformed;
        case ParseStatus::blocked:
            return unwanted_ ? Step::unwanted : Step::full;
        case ParseStatus::need_more:
            return Step::moved;
    }
    return Step::moved;
}

BodyPump::Step BodyPump::move(int socket, std::string& input, std::span<char> buffer) {
    std::size_t used = 0;
    if (!input.empty()) {
        const Step step = feed(input, used);
        input.erase(0, used);
        return step;
    }
    const ssize_t count = ::recv(socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count == 0) return Step::cut_off;
    if (count < 0) return errno == EAGAIN || errno == EINTR ? Step::starved : Step::failed;
    const std::string_view came{buffer.data(), static_cast<std::size_t>(count)};
    const Step step = feed(came, used);
    input.assign(came.substr(used));
    return step;
}

}  // namespace brokerd
