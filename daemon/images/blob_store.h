#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/digest.h"
#include "common/os/unique_fd.h"
#include "common/result.h"
#include "daemon/images/blob_pin.h"
#include "daemon/images/blob_writer.h"

namespace brokerd {

/// What a collection removed.
struct Collected {
    std::size_t count = 0;
    std::uint64_t bytes = 0;
    std::vector<Digest> digests;
};

/// The content of images, by digest: PATH/sha256/HEX, mode 0600, each verified before it got its name and never changed
/// after. Shared between plugins; what no plugin uses is collected.
///
/// Thread: any, several at once. A blob appears by a rename and goes by an unlink, so files need no lock; who pins what
/// is behind a mutex that is held for no longer than one unlink.
/// One process: what lies in PATH/tmp when the store is opened is taken for the leftovers of a crash.
/// Lifetime: pins and writers may outlive the store.
class BlobStore {
public:
    /// Makes the directories where they are missing (mode 0700), and removes what a crash left in tmp.
    [[nodiscard]] static Result<std::unique_ptr<BlobStore>> open(std::string path);
    ~BlobStore();
    BlobStore(const BlobStore&) = delete;
    BlobStore& operator=(const BlobStore&) = delete;

    /// Begins to write the blob with this digest and size. Fails at once where the file system has no room for it. Ask
    /// find() first: a blob that is there need not be written again.
    [[nodiscard]] Result<BlobWriter, BlobError> begin(const Digest& expected, std::uint64_t expected_size);
    /// For content that is made here: any digest, at most `max_size` bytes.
    [[nodiscard]] Result<BlobWriter, BlobError> begin_unknown(std::uint64_t max_size);
    /// Writes a small blob (a manifest, a config) whole. The pin says its digest.
    [[nodiscard]] Result<BlobPin, BlobError> put(std::string_view bytes);

    /// Looks for a blob and pins it; nothing where it is missing. Where the size differs, the content decides: a
    /// damaged blob is removed and counts as missing; for a whole one `expected_size` is wrong: `too_long` or
    /// `too_short`.
    [[nodiscard]] Result<std::optional<BlobPin>, BlobError> find(const Digest& digest, std::uint64_t expected_size);
    /// For reading. It stays readable when the blob is removed meanwhile. `missing` where there is none.
    [[nodiscard]] Result<UniqueFd, BlobError> open_blob(const Digest& digest) const;
    [[nodiscard]] std::optional<std::uint64_t> size(const Digest& digest) const;
    /// A manifest or a config, of at most `limit` bytes, verified again. A damaged one is removed, so that the next
    /// install fetches it anew.
    [[nodiscard]] Result<std::string, BlobError> read_small(const Digest& digest, std::size_t limit);
    /// Reads a blob whole and compares its digest; the size. It is left in place whatever comes out.
    [[nodiscard]] Result<std::uint64_t, BlobError> verify(const Digest& digest) const;

    /// Keeps a blob from being collected for as long as the pin lives, whether the blob is there yet or not. A job pins
    /// what it needs before it looks whether it is there, and lets go when the inventory names it.
    [[nodiscard]] BlobPin pin(const Digest& digest) const;
    /// Keeps a blob for this long from now (what was loaded and waits for its install); 0 ends an earlier one. In
    /// memory only: a restart ends it.
    void keep_for(const Digest& digest, std::chrono::minutes duration);

    /// Tells which blobs the installed plugins use.
    using UsedBlobs = std::function<std::set<Digest>()>;
    /// Removes every blob that is neither used nor pinned, and files in tmp that no live writer owns. `used` is called
    /// once, after the collection has begun: a pin that is let go after that moment still counts, so that a job which
    /// hands its blobs from pin to inventory meanwhile loses none. Other files are left alone.
    [[nodiscard]] Result<Collected> collect(const UsedBlobs& used);
    /// The same with a set made before: only where no job can have ended between making it and this call.
    [[nodiscard]] Result<Collected> collect(const std::set<Digest>& used);

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    BlobStore(std::string path, std::shared_ptr<BlobPlaces> places, std::shared_ptr<BlobPins> pins);

    [[nodiscard]] Result<BlobWriter, BlobError> begin_file(std::optional<Digest> expected, std::uint64_t max_size);
    [[nodiscard]] std::string blob_path(const Digest& digest) const;

    std::string path_;
    std::shared_ptr<BlobPlaces> places_;
    std::shared_ptr<BlobPins> pins_;
};

}  // namespace brokerd
