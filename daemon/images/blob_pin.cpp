#include "daemon/images/blob_pin.h"

#include <utility>

namespace brokerd {

BlobPin::BlobPin(std::shared_ptr<BlobPins> pins, Digest digest) : pins_{std::move(pins)}, digest_{std::move(digest)} {
    pins_->hold(digest_);
}

BlobPin& BlobPin::operator=(BlobPin&& other) noexcept {
    if (this != &other) {
        let_go();
        pins_ = std::move(other.pins_);
        digest_ = std::move(other.digest_);
    }
    return *this;
}

BlobPin::~BlobPin() {
    let_go();
}

void BlobPin::let_go() noexcept {
    if (const auto pins = std::exchange(pins_, nullptr)) pins->let_go(digest_);
}

void BlobPins::hold(const Digest& digest) {
    const std::lock_guard lock{mutex_};
    ++held_[digest];
    if (collections_ > 0) held_meanwhile_.insert(digest);
}

void BlobPins::let_go(const Digest& digest) noexcept {
    const std::lock_guard lock{mutex_};
    const auto entry = held_.find(digest);
    if (entry != held_.end() && --entry->second == 0) held_.erase(entry);
}

void BlobPins::keep_until(const Digest& digest, std::chrono::steady_clock::time_point end) {
    const std::lock_guard lock{mutex_};
    kept_.insert_or_assign(digest, end);
}

std::string BlobPins::own_new_file() {
    const std::lock_guard lock{mutex_};
    return *files_.insert(std::to_string(next_file_++)).first;
}

void BlobPins::disown_file(const std::string& name) noexcept {
    const std::lock_guard lock{mutex_};
    files_.erase(name);
}

bool BlobPins::is_held(const Digest& digest) const {
    if (held_.contains(digest) || held_meanwhile_.contains(digest)) return true;
    const auto kept = kept_.find(digest);
    return kept != kept_.end() && kept->second > std::chrono::steady_clock::now();
}

BlobPins::Collection::Collection(BlobPins& pins) : pins_{pins} {
    const std::lock_guard lock{pins_.mutex_};
    ++pins_.collections_;
    for (const auto& [digest, count] : pins_.held_) pins_.held_meanwhile_.insert(digest);
    std::erase_if(pins_.kept_,
                  [now = std::chrono::steady_clock::now()](const auto& kept) { return kept.second <= now; });
}

BlobPins::Collection::~Collection() {
    const std::lock_guard lock{pins_.mutex_};
    if (--pins_.collections_ == 0) pins_.held_meanwhile_.clear();
}

}  // namespace brokerd
