#pragma once

#include <utility>

#include "cli/output/progress_view.h"
#include "cli/process/interrupt.h"
#include "cli/session.h"

namespace brokerd::cli {

/// Work that the daemon reports on: shows its progress, and ends it for a signal.
/// For the time of the work only, so that a signal acts at once in whatever the command does before and after.
class Transfer {
public:
    explicit Transfer(Session& session) : session_{session}, view_{session.out} {}

    [[nodiscard]] ManagedClient::ProgressHandler progress() {
        return [this](const ProgressMessage& message) { view_.show(message); };
    }
    [[nodiscard]] int interrupt_fd() const noexcept { return interrupt_.fd(); }

    /// Passes the outcome of the work on, with the last of its progress shown.
    template <class Outcome>
    [[nodiscard]] Outcome ended(Outcome outcome) {
        view_.finish();
        return outcome;
    }
    ExitStatus failure(const ClientError& error) { return session_.failure(error, interrupt_); }

private:
    Session& session_;
    ProgressView view_;
    Interrupt interrupt_;
};

}  // namespace brokerd::cli
