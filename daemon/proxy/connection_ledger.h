#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "common/os/unique_fd.h"

namespace brokerd {

/// Which descriptors of this process are engines' connections, and where these stand. It lies in memory that outlives
/// the process (memfd_create(2)), so that the next one can tell, however this one ended. A mark is one store: a kill
/// comes between two instructions, so the marks are never older than what they tell of. Thread: each entry is of
/// whoever owns the connection.
class ConnectionLedger {
public:
    enum class State : std::uint8_t {
        unknown,     ///< no connection, or something of a request or of an answer is on its way
        resting,     ///< all that was read has been answered, and the answer has left
        unanswered,  ///< a request has been read, and no byte of an answer has left
    };

    /// For as many descriptors as this process may have. Null where there is no memory for it.
    [[nodiscard]] static std::unique_ptr<ConnectionLedger> make();
    /// The descriptors that an earlier process has marked so in `memory`; none where that is no ledger.
    [[nodiscard]] static std::vector<int> marked(const UniqueFd& memory, State state);

    ConnectionLedger(const ConnectionLedger&) = delete;
    ConnectionLedger& operator=(const ConnectionLedger&) = delete;
    ~ConnectionLedger();

    [[nodiscard]] int memory() const noexcept { return memory_.get(); }

    /// One connection's mark, to be taken back before the descriptor is closed: another may have its number then.
    class Mark {
    public:
        /// Without a ledger nothing is marked.
        Mark(ConnectionLedger* ledger, int descriptor) noexcept;
        ~Mark() { end(); }
        Mark(const Mark&) = delete;
        Mark& operator=(const Mark&) = delete;

        /// `resting` only after the last byte of an answer has left; `unknown` before anything more is read, and before
        /// a byte of an answer is written.
        void set(State state) noexcept {
            if (place_ != nullptr) place_->store(static_cast<std::uint8_t>(state), std::memory_order_release);
        }

        void end() noexcept {
            set(State::unknown);
            place_ = nullptr;
        }

    private:
        std::atomic<std::uint8_t>* place_ = nullptr;
    };

private:
    ConnectionLedger(UniqueFd memory, std::atomic<std::uint8_t>* places, std::size_t count) noexcept
        : memory_{std::move(memory)}, places_{places}, count_{count} {}

    UniqueFd memory_;
    std::atomic<std::uint8_t>* places_;  ///< by descriptor; mapped
    std::size_t count_;
};

}  // namespace brokerd
