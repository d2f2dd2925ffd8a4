#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "common/os/unique_fd.h"

namespace brokerd {

/// Which descriptors of this process are engines' connections at rest: all that was read of them has been answered, and
/// the answer has left. It lies in memory that outlives the process (memfd_create(2)), so that the next one can tell,
/// however this one ended. A mark is one store: a kill comes between two instructions, so the marks are never older
/// than what they tell of. Thread: each entry is of whoever owns the connection.
class ConnectionLedger {
public:
    /// For as many descriptors as this process may have. Null where there is no memory for it.
    [[nodiscard]] static std::unique_ptr<ConnectionLedger> make();
    /// Reads what an earlier process has marked in `memory`; empty where that is no ledger.
    [[nodiscard]] static std::vector<int> resting(const UniqueFd& memory);

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

        /// True only after the last byte of an answer has left; false before anything more is read.
        void set_resting(bool resting) noexcept {
            if (place_ != nullptr) place_->store(resting ? 1 : 0, std::memory_order_release);
        }

        void end() noexcept {
            set_resting(false);
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
