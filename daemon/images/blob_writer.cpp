#include "daemon/images/blob_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "common/os/disk_error.h"
#include "daemon/images/uninterrupted.h"

// Order is what makes a blob safe: its bytes reach the disk before its name does, and its name before anybody is told.
// Writeback is started early, so that the disk works while the network does and little is left for the last sync.

namespace brokerd {
namespace {

/// Ours: large enough for the disk to write in one go, small enough to leave little for the end.
constexpr std::uint64_t kWritebackBytes = std::uint64_t{4} << 20;

}  // namespace

BlobWriter::BlobWriter(std::shared_ptr<const BlobPlaces> places, std::shared_ptr<BlobPins> pins, UniqueFd file,
                       std::string name, std::optional<Digest> expected, std::uint64_t max_size)
    : places_{std::move(places)},
      pins_{std::move(pins)},
      file_{std::move(file)},
      name_{std::move(name)},
      expected_{std::move(expected)},
      max_size_{max_size} {
    if (expected_) pin_.emplace(pins_, *expected_);
}

BlobWriter::BlobWriter(BlobWriter&& other) noexcept
    : places_{std::move(other.places_)},
      pins_{std::move(other.pins_)},
      file_{std::move(other.file_)},
      name_{std::exchange(other.name_, {})},
      expected_{std::move(other.expected_)},
      pin_{std::exchange(other.pin_, std::nullopt)},
      actual_{std::move(other.actual_)},
      hash_{std::move(other.hash_)},
      max_size_{other.max_size_},
      written_{other.written_},
      handed_to_disk_{other.handed_to_disk_} {}

BlobWriter::~BlobWriter() {
    drop();
}

void BlobWriter::drop() noexcept {
    if (name_.empty()) return;
    // First the name, then its protection from collection: the other way round, both would remove it.
    uninterrupted([&] { return ::unlinkat(places_->temporary.get(), name_.c_str(), 0); });
    pins_->disown_file(name_);
    name_.clear();
    file_.reset();
}

std::string BlobWriter::describe() const {
    return expected_ ? "the blob " + expected_->str() : std::string{"the new blob"};
}

Failure<BlobError> BlobWriter::storage_failure(std::string_view operation, int code) const {
    return fail(BlobError{BlobError::Kind::storage,
                          disk_error(fmt::format("{} {} in", operation, describe()), places_->path, code)});
}

Result<std::monostate, BlobError> BlobWriter::write(std::string_view bytes) {
    assert(!name_.empty() && !actual_);
    if (bytes.size() > max_size_ - written_) {
        return fail(BlobError{BlobError::Kind::too_long,
                              fmt::format("{} is longer than {} bytes, which is {}", describe(), max_size_,
                                          expected_ ? "the size that was announced" : "the most that is allowed")});
    }
    hash_.update(bytes);
    while (!bytes.empty()) {
        const ssize_t count = uninterrupted([&] { return ::write(file_.get(), bytes.data(), bytes.size()); });
        if (count < 0) return storage_failure("write", errno);
        written_ += static_cast<std::uint64_t>(count);
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    start_writeback();
    return std::monostate{};
}

void BlobWriter::start_writeback() noexcept {
    if (written_ - handed_to_disk_ < kWritebackBytes) return;
    // A hint: what it cannot do, the sync at the end will do or report.
    ::sync_file_range(file_.get(), static_cast<off64_t>(handed_to_disk_),
                      static_cast<off64_t>(written_ - handed_to_disk_), SYNC_FILE_RANGE_WRITE);
    handed_to_disk_ = written_;
}

Result<std::monostate, BlobError> BlobWriter::restart() {
    assert(!name_.empty());
    if (uninterrupted([&] { return ::ftruncate(file_.get(), 0); }) != 0) return storage_failure("empty", errno);
    if (::lseek(file_.get(), 0, SEEK_SET) < 0) return storage_failure("rewind", errno);
    hash_.restart();
    actual_.reset();
    written_ = 0;
    handed_to_disk_ = 0;
    return std::monostate{};
}

Result<std::monostate, BlobError> BlobWriter::verify() {
    assert(!name_.empty());
    if (expected_ && written_ < max_size_) {
        return fail(BlobError{BlobError::Kind::too_short, fmt::format("{} ends after {} bytes; {} were announced",
                                                                      describe(), written_, max_size_)});
    }
    if (!actual_) actual_ = hash_.finish();
    if (expected_ && *actual_ != *expected_) {
        return fail(BlobError{
            BlobError::Kind::wrong_digest,
            fmt::format("{} has other content than announced: its digest is {}", describe(), actual_->str())});
    }
    if (!pin_) pin_.emplace(pins_, *actual_);
    return std::monostate{};
}

Result<BlobPin, BlobError> BlobWriter::commit() {
    if (auto verified = verify(); !verified) return fail(verified.error());
    if (uninterrupted([&] { return ::fdatasync(file_.get()); }) != 0) return storage_failure("sync", errno);
    const std::string name{actual_->hex()};
    const int renamed = pins_->exclusively([&] {
        return uninterrupted(
            [&] { return ::renameat(places_->temporary.get(), name_.c_str(), places_->blobs.get(), name.c_str()); });
    });
    if (renamed != 0) return storage_failure("name", errno);
    pins_->disown_file(name_);
    name_.clear();
    file_.reset();
    if (uninterrupted([&] { return ::fsync(places_->blobs.get()); }) != 0)
        return storage_failure("sync the name of", errno);
    return *std::exchange(pin_, std::nullopt);
}

}  // namespace brokerd
