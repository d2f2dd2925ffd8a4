#pragma once

#include <cstdint>
#include <memory>
#include <variant>

#include "daemon/registry/registry_session.h"
#include "daemon/registry/repository_client.h"

namespace brokerd {

/// Uploads one blob (OCI distribution-spec 1.1, "Pushing Blobs"): in one PUT where it is small, in chunks where it is
/// large, so that a connection that breaks costs one chunk; in one piece after all where the registry wants no chunks.
/// Thread: one. Borrows everything.
class BlobUpload {
public:
    BlobUpload(RegistrySession& session, RegistryEndpoint& endpoint, const RegistryScope& scope, const Descriptor& blob,
               int fd, const TransferProgress& progress);
    ~BlobUpload();

    [[nodiscard]] RegistryResult<std::monostate> run(const RegistryRetries& limits, int cancel_fd);

    /// Starts an upload, or, with a non-empty `scope.from`, a mount: nothing where the registry took the blob over.
    struct Started {
        Url location;
        std::uint64_t min_chunk = 0;  ///< OCI-Chunk-Min-Length
    };
    [[nodiscard]] static RegistryResult<std::optional<Started>> start(RegistrySession& session,
                                                                      RegistryEndpoint& endpoint,
                                                                      const RegistryScope& scope, const Digest& digest);

private:
    class FileBody;

    [[nodiscard]] RegistryResult<std::monostate> attempt();
    [[nodiscard]] RegistryResult<std::monostate> send_chunk();
    [[nodiscard]] RegistryResult<std::monostate> finish(std::uint64_t from);
    [[nodiscard]] RegistryResult<std::monostate> ask_how_far();
    [[nodiscard]] std::uint64_t chunk_size() const;
    void tell(TransferEvent::Phase phase, std::uint64_t done, std::string_view note = {}) const;

    RegistrySession& session_;
    RegistryEndpoint& endpoint_;
    const RegistryScope& scope_;
    const Descriptor& blob_;
    const int fd_;
    const TransferProgress& progress_;
    std::optional<Started> upload_;
    std::uint64_t sent_ = 0;  ///< what the registry has confirmed
    bool in_one_piece_ = false;
};

}  // namespace brokerd
