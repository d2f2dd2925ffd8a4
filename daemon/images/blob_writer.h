#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/digest.h"
#include "common/os/unique_fd.h"
#include "common/result.h"
#include "daemon/images/blob_pin.h"
#include "daemon/images/sha256.h"

namespace brokerd {

/// Why a blob could not be written or read.
struct BlobError {
    enum class Kind {
        storage,       ///< the disk or the file system: the sentence says what to do
        too_long,      ///< more bytes than announced or allowed
        too_short,     ///< fewer bytes than announced
        wrong_digest,  ///< the size is right and the content is not
        missing,       ///< the store has no such blob
    };

    Kind kind = Kind::storage;
    std::string message;  ///< one sentence for a person
};

/// Where a BlobStore's files are.
struct BlobPlaces {
    std::string path;
    UniqueFd blobs;      ///< PATH/sha256
    UniqueFd temporary;  ///< PATH/tmp
};

/// Writes one blob: bytes go to a temporary file and are hashed on the way; commit() gives the file its name once size
/// and digest are right and the bytes are on disk. Without commit() the file goes with the writer. The blob is pinned
/// from the moment its digest is known.
/// Thread: any, one at a time. After an error of kind `storage` the writer is of no further use; after one of content,
/// restart() begins anew.
class [[nodiscard]] BlobWriter {
public:
    BlobWriter(BlobWriter&& other) noexcept;
    BlobWriter& operator=(BlobWriter&&) = delete;
    BlobWriter(const BlobWriter&) = delete;
    BlobWriter& operator=(const BlobWriter&) = delete;
    ~BlobWriter();

    /// Appends all of `bytes`. Bytes beyond the announced size are refused (too_long), and none of them is written.
    [[nodiscard]] Result<std::monostate, BlobError> write(std::string_view bytes);
    /// How many bytes are written: where a broken download goes on.
    [[nodiscard]] std::uint64_t written() const noexcept { return written_; }
    /// Drops everything written: the other side begins from the start.
    [[nodiscard]] Result<std::monostate, BlobError> restart();
    /// Compares size and digest with what was announced, without giving the blob its name. Nothing can be written after
    /// it but after restart().
    [[nodiscard]] Result<std::monostate, BlobError> verify();
    /// Verifies, and makes the blob durable under its name: data, name, directory. Ends the writer. A blob of this
    /// digest that is there already is replaced by its equal.
    [[nodiscard]] Result<BlobPin, BlobError> commit();

    /// As announced to BlobStore::begin(); nothing for begin_unknown().
    [[nodiscard]] const std::optional<Digest>& expected_digest() const noexcept { return expected_; }
    /// The announced size, or the limit.
    [[nodiscard]] std::uint64_t max_size() const noexcept { return max_size_; }

private:
    friend class BlobStore;
    BlobWriter(std::shared_ptr<const BlobPlaces> places, std::shared_ptr<BlobPins> pins, UniqueFd file,
               std::string name, std::optional<Digest> expected, std::uint64_t max_size);

    [[nodiscard]] std::string describe() const;
    [[nodiscard]] Failure<BlobError> storage_failure(std::string_view operation, int code) const;
    void start_writeback() noexcept;
    void drop() noexcept;

    std::shared_ptr<const BlobPlaces> places_;
    std::shared_ptr<BlobPins> pins_;
    UniqueFd file_;
    std::string name_;  ///< in tmp; empty: the writer owns no file any more
    std::optional<Digest> expected_;
    std::optional<BlobPin> pin_;
    std::optional<Digest> actual_;  ///< known since verify()
    Sha256 hash_;
    std::uint64_t max_size_;
    std::uint64_t written_ = 0;
    std::uint64_t handed_to_disk_ = 0;  ///< writeback has been started up to here
};

}  // namespace brokerd
