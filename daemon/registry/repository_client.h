#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "common/digest.h"
#include "common/image_reference.h"
#include "daemon/images/blob_store.h"
#include "daemon/images/image_manifest.h"
#include "daemon/registry/registry_credentials.h"
#include "daemon/registry/registry_error.h"
#include "daemon/registry/registry_settings.h"

namespace brokerd {

/// What a transfer tells while it goes on.
struct TransferEvent {
    enum class Phase {
        downloading,  ///< `done` of `total` bytes are written
        verified,     ///< all of it is here and right; the writer has not committed yet
        uploading,
        exists,   ///< the registry has it already
        mounted,  ///< the registry took it over from another of its repositories
        uploaded,
        retrying,  ///< `note` says why; `done` is where it goes on
        note,      ///< something to tell that belongs to no blob (`blob` is null): a mirror is skipped
    };
    Phase phase = Phase::note;
    const Descriptor* blob = nullptr;  ///< borrowed for the call
    std::uint64_t done = 0;
    std::uint64_t total = 0;
    std::string_view note;  ///< a sentence; borrowed for the call
};

/// Called on the thread that made the call, often (for each piece of some 128 KiB): the receiver throttles. May be
/// empty.
using TransferProgress = std::function<void(const TransferEvent&)>;

struct FetchedManifest {
    std::string bytes;  ///< verified against `digest`
    std::string media_type;
    Digest digest;
    std::string source;  ///< HOST[:PORT] that it came from: the registry or a mirror
};

enum class RegistryAccess { pull, push };

/// A client for one repository of one registry, for one job: OCI distribution-spec 1.1 and Docker Registry HTTP API v2.
///
/// Thread: any, as every call blocks; never the core loop. Several threads may call at once, which is how layers are
/// fetched concurrently, each with a writer of its own: connections and tokens are shared inside, behind locks that are
/// held while a token is fetched, never while content moves.
/// Ends: every wait is bounded (RegistryTimeouts), and ends at once when `cancel_fd` becomes readable or hangs up; all
/// later calls then fail as cancelled too.
/// Errors: transient ones are retried inside (RegistryRetries); what is returned is final.
class RepositoryClient {
public:
    /// `repository`: tag and digest in it are not looked at. `credentials` are dropped where they belong to another
    /// registry. `cancel_fd` is borrowed (an eventfd, a pipe, a connection); -1: none. `settings` is copied.
    RepositoryClient(const RegistrySettings& settings, const ImageReference& repository,
                     const RegistryCredentials& credentials, RegistryAccess access, int cancel_fd);
    ~RepositoryClient();
    RepositoryClient(const RepositoryClient&) = delete;
    RepositoryClient& operator=(const RepositoryClient&) = delete;

    /// Fetches a manifest or an index, of any type that ImageManifest and ImageIndex know. Verified against the digest
    /// where it is asked for by digest, and against Docker-Content-Digest where the registry sends it; at most
    /// kMaxImageManifestBytes.
    [[nodiscard]] RegistryResult<FetchedManifest> manifest(std::string_view tag_or_digest,
                                                           const TransferProgress& progress = {});
    [[nodiscard]] RegistryResult<FetchedManifest> manifest(const Digest& digest, const TransferProgress& progress = {});

    /// Downloads a blob into `writer`, which was begun with the descriptor's digest and size, and may hold the blob's
    /// first bytes already: it goes on from there where the registry can. A connection that breaks is resumed. The
    /// bytes have the right size and digest when this succeeds (`writer.commit()` checks the latter again by itself);
    /// the caller commits.
    [[nodiscard]] RegistryResult<std::monostate> fetch_blob(const Descriptor& blob, BlobWriter& writer,
                                                            const TransferProgress& progress = {});

    /// A blob that fits in memory (a config): verified. One larger than `limit` is refused unread.
    [[nodiscard]] RegistryResult<std::string> small_blob(const Descriptor& blob, std::size_t limit);

    /// Whether the registry has the blob in this repository.
    [[nodiscard]] RegistryResult<bool> has_blob(const Digest& digest);

    /// Asks the registry to take the blob over from another of its repositories (a path, "vieux/sshfs"). False: it
    /// wants it uploaded.
    [[nodiscard]] RegistryResult<bool> mount(const Digest& digest, std::string_view from_repository);

    /// Uploads the blob's bytes from `fd` (borrowed; a regular file, read from its start with pread).
    [[nodiscard]] RegistryResult<std::monostate> upload_blob(int fd, const Descriptor& blob,
                                                             const TransferProgress& progress = {});

    /// Puts a manifest, and checks that the registry agrees on its digest, which is returned.
    [[nodiscard]] RegistryResult<Digest> put_manifest(std::string_view bytes, std::string_view media_type,
                                                      std::string_view tag_or_digest);

private:
    class Job;
    std::unique_ptr<Job> job_;
};

}  // namespace brokerd
