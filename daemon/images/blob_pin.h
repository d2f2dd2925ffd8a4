#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "common/digest.h"

namespace brokerd {

class BlobPins;

/// Keeps one blob from being collected for as long as it lives. Move-only; any thread, one at a time.
class [[nodiscard]] BlobPin {
public:
    BlobPin(std::shared_ptr<BlobPins> pins, Digest digest);
    BlobPin(BlobPin&& other) noexcept = default;
    BlobPin& operator=(BlobPin&& other) noexcept;
    BlobPin(const BlobPin&) = delete;
    BlobPin& operator=(const BlobPin&) = delete;
    ~BlobPin();

    [[nodiscard]] const Digest& digest() const noexcept { return digest_; }

private:
    void let_go() noexcept;

    std::shared_ptr<BlobPins> pins_;  ///< null: moved from
    Digest digest_;
};

/// Who holds what of a BlobStore: pins, times, and the temporary files of live writers. Thread: any.
class BlobPins {
public:
    void hold(const Digest& digest);
    void let_go(const Digest& digest) noexcept;
    void keep_until(const Digest& digest, std::chrono::steady_clock::time_point end);

    /// A name that no other writer has; its file is safe from collection until it is disowned.
    [[nodiscard]] std::string own_new_file();
    void disown_file(const std::string& name) noexcept;
    /// Calls `change` while nothing else that changes names through this object runs.
    template <class Change>
    auto exclusively(Change change) {
        const std::lock_guard lock{mutex_};
        return change();
    }
    /// Calls `remove` unless a live writer owns the file; no writer begins meanwhile.
    template <class Remove>
    void unless_owned(const std::string& name, Remove remove) {
        const std::lock_guard lock{mutex_};
        if (!files_.contains(name)) remove();
    }

    /// While one lives, what is let go still counts as held.
    class Collection {
    public:
        explicit Collection(BlobPins& pins);
        ~Collection();
        Collection(const Collection&) = delete;
        Collection& operator=(const Collection&) = delete;

        /// Calls `remove` unless the blob is held; nobody can take hold of it meanwhile.
        template <class Remove>
        void unless_held(const Digest& digest, Remove remove) {
            const std::lock_guard lock{pins_.mutex_};
            if (!pins_.is_held(digest)) remove();
        }

    private:
        BlobPins& pins_;
    };

private:
    /// Precondition: the mutex is held.
    [[nodiscard]] bool is_held(const Digest& digest) const;

    std::mutex mutex_;
    std::map<Digest, unsigned> held_;
    std::map<Digest, std::chrono::steady_clock::time_point> kept_;
    std::set<std::string> files_;
    std::uint64_t next_file_ = 1;
    unsigned collections_ = 0;
    std::set<Digest> held_meanwhile_;  ///< held at any moment since the first of the collections began
};

}  // namespace brokerd
