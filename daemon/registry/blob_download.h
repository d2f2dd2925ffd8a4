#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "daemon/images/blob_writer.h"
#include "daemon/registry/registry_session.h"
#include "daemon/registry/repository_client.h"

namespace brokerd {

/// Where a download goes: what it has so far, and whether that is right.
class BlobTarget {
public:
    virtual ~BlobTarget() = default;
    [[nodiscard]] virtual std::uint64_t written() const = 0;
    [[nodiscard]] virtual RegistryResult<std::monostate> write(std::string_view bytes) = 0;
    [[nodiscard]] virtual RegistryResult<std::monostate> restart() = 0;
    /// Whether size and digest are the descriptor's; an error of kind `invalid` where they are not.
    [[nodiscard]] virtual RegistryResult<std::monostate> verify() = 0;
};

/// Into the blob store. Borrows the writer.
class WriterTarget final : public BlobTarget {
public:
    explicit WriterTarget(BlobWriter& writer) noexcept : writer_{writer} {}
    [[nodiscard]] std::uint64_t written() const override { return writer_.written(); }
    [[nodiscard]] RegistryResult<std::monostate> write(std::string_view bytes) override;
    [[nodiscard]] RegistryResult<std::monostate> restart() override;
    [[nodiscard]] RegistryResult<std::monostate> verify() override;

private:
    BlobWriter& writer_;
};

/// Into memory. Borrows the descriptor, whose size the caller has found small enough.
class MemoryTarget final : public BlobTarget {
public:
    explicit MemoryTarget(const Descriptor& blob) : blob_{blob} {}
    [[nodiscard]] std::uint64_t written() const override { return bytes_.size(); }
    [[nodiscard]] RegistryResult<std::monostate> write(std::string_view bytes) override;
    [[nodiscard]] RegistryResult<std::monostate> restart() override;
    [[nodiscard]] RegistryResult<std::monostate> verify() override;
    [[nodiscard]] std::string take() && { return std::move(bytes_); }

private:
    const Descriptor& blob_;
    std::string bytes_;
};

/// Downloads one blob from one endpoint, in as many attempts as it takes: what has come is kept and the rest is asked
/// for (Range); content with the wrong digest is fetched once more from the start. Never takes more bytes than the
/// descriptor's size.
/// Thread: one. Borrows everything.
class BlobDownload {
public:
    BlobDownload(RegistrySession& session, RegistryEndpoint& endpoint, const RegistryScope& scope,
                 const Descriptor& blob, const TransferProgress& progress) noexcept
        : session_{session}, endpoint_{endpoint}, scope_{scope}, blob_{blob}, progress_{progress} {}

    [[nodiscard]] RegistryResult<std::monostate> run(BlobTarget& target, const RegistryRetries& limits, int cancel_fd);

private:
    /// Goes on from what the target has, until it has all.
    [[nodiscard]] RegistryResult<std::monostate> attempt(BlobTarget& target);
    [[nodiscard]] RegistryResult<std::monostate> take_body(HttpExchange& exchange, BlobTarget& target);
    [[nodiscard]] RegistryResult<std::monostate> check_head(const HttpExchange& exchange, BlobTarget& target) const;
    void tell(TransferEvent::Phase phase, std::uint64_t done, std::string_view note = {}) const;

    RegistrySession& session_;
    RegistryEndpoint& endpoint_;
    const RegistryScope& scope_;
    const Descriptor& blob_;
    const TransferProgress& progress_;
};

/// Whether `value` is "bytes FIRST-LAST/SIZE" (RFC 9110 14.4) from `first` to the end of `size` bytes; SIZE may be "*".
[[nodiscard]] bool is_rest_of(std::string_view value, std::uint64_t first, std::uint64_t size);

}  // namespace brokerd
