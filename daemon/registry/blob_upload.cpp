#include "daemon/registry/blob_upload.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <vector>

#include "common/os/system_error.h"
#include "daemon/registry/transfer_retries.h"

namespace brokerd {
namespace {

/// Ours: what a break costs at most. Registries keep each chunk as a piece, so fewer are better.
constexpr std::uint64_t kChunkBytes = std::uint64_t{64} << 20;
constexpr std::size_t kReadBytes = std::size_t{256} << 10;

RegistryError invalid(std::string message) {
    return {RegistryErrorKind::invalid, std::move(message), false, {}};
}

std::uint64_t number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    return code == std::errc{} && end == text.data() + text.size() ? value : 0;
}

}  // namespace

/// A part of the blob's file.
class BlobUpload::FileBody final : public UploadBody {
public:
    FileBody(const BlobUpload& upload, std::uint64_t first, std::uint64_t size)
        : upload_{upload}, first_{first}, size_{size}, buffer_(std::min<std::uint64_t>(size, kReadBytes)) {}

    [[nodiscard]] std::uint64_t size() const override { return size_; }

    [[nodiscard]] RegistryResult<std::string_view> read(std::uint64_t offset) override {
        upload_.tell(TransferEvent::Phase::uploading, first_ + offset);
        const std::size_t wanted = std::min<std::uint64_t>(buffer_.size(), size_ - offset);
        ssize_t count = 0;
        do {
            count = ::pread(upload_.fd_, buffer_.data(), wanted, static_cast<off_t>(first_ + offset));
        } while (count < 0 && errno == EINTR);
        if (count > 0) return std::string_view{buffer_.data(), static_cast<std::size_t>(count)};
        return fail(RegistryError{RegistryErrorKind::io,
                                  fmt::format("the blob {} cannot be read: {}", upload_.blob_.digest.str(),
                                              count < 0 ? errno_text(errno) : "its file is too short"),
                                  false,
                                  {}});
    }

private:
    const BlobUpload& upload_;
    const std::uint64_t first_;
    const std::uint64_t size_;
    std::vector<char> buffer_;
};

BlobUpload::BlobUpload(RegistrySession& session, RegistryEndpoint& endpoint, const RegistryScope& scope,
                       const Descriptor& blob, int fd, const TransferProgress& progress)
    : session_{session}, endpoint_{endpoint}, scope_{scope}, blob_{blob}, fd_{fd}, progress_{progress} {}

BlobUpload::~BlobUpload() = default;

void BlobUpload::tell(TransferEvent::Phase phase, std::uint64_t done, std::string_view note) const {
    if (progress_) progress_({phase, &blob_, done, blob_.size, note});
}

RegistryResult<std::optional<BlobUpload::Started>> BlobUpload::start(RegistrySession& session,
                                                                     RegistryEndpoint& endpoint,
                                                                     const RegistryScope& scope, const Digest& digest) {
    const auto base = endpoint.base();
    if (!base) return fail(base.error());
    RegistryCall call;
    call.method = "POST";
    call.scope = scope;
    std::string target = fmt::format("/v2/{}/blobs/uploads/", scope.path);
    if (!scope.from.empty())
        target += fmt::format("?mount={}&from={}", query_value(digest.str()), query_value(scope.from));
    call.url = base->with_target(std::move(target));
    auto exchange = session.call(endpoint, call);
    if (!exchange) return fail(exchange.error());
    if (exchange->status() == 201) {
        exchange->skip_body();
        return std::optional<Started>{};
    }
    if (exchange->status() != 202) return fail(RegistrySession::refusal(endpoint, *exchange));
    auto location = session.next_url(*exchange);
    if (!location) return fail(location.error());
    Started started{std::move(*location), number(exchange->answer().field("oci-chunk-min-length"))};
    exchange->skip_body();
    return std::optional<Started>{std::move(started)};
}

RegistryResult<std::monostate> BlobUpload::run(const RegistryRetries& limits, int cancel_fd) {
    TransferRetries retries{limits, cancel_fd};
    std::uint64_t reached = 0;  // what is sent again after a registry forgot it is no progress
    for (;;) {
        auto result = attempt();
        if (result) {
            tell(TransferEvent::Phase::uploaded, blob_.size);
            return result;
        }
        const RegistryError error = result.error();
        if (error.kind == RegistryErrorKind::cancelled || error.kind == RegistryErrorKind::io) return result;
        if (sent_ > reached) {
            reached = sent_;
            retries.note_progress();
        }
        if (!error.transient) {
            // Registries that take no chunks say so in several ways; whether it is that, the next answer shows.
            const bool may_be_chunks = !in_one_piece_ && blob_.size > chunk_size() &&
                                       error.kind != RegistryErrorKind::unauthorized &&
                                       error.kind != RegistryErrorKind::denied;
            if (!may_be_chunks) return result;
            in_one_piece_ = true;
            upload_.reset();
            sent_ = 0;
            continue;
        }
        tell(TransferEvent::Phase::retrying, sent_, error.message);
        if (auto final_error = retries.refuse(error)) return fail(std::move(*final_error));
        if (upload_ && !ask_how_far()) {
            upload_.reset();
            sent_ = 0;
        }
    }
}

std::uint64_t BlobUpload::chunk_size() const {
    if (in_one_piece_) return blob_.size;
    return std::max(kChunkBytes, upload_ ? upload_->min_chunk : 0);
}

RegistryResult<std::monostate> BlobUpload::attempt() {
    if (!upload_) {
        RegistryScope scope = scope_;
        scope.from.clear();
        auto started = start(session_, endpoint_, scope, blob_.digest);
        if (!started) return fail(started.error());
        if (!*started) return fail(invalid(endpoint_.name() + " says that it has a blob before it was uploaded"));
        upload_ = std::move(*started);
        sent_ = 0;
    }
    while (blob_.size - sent_ > chunk_size()) {
        if (auto sent = send_chunk(); !sent) return sent;
    }
    return finish(sent_);
}

RegistryResult<std::monostate> BlobUpload::send_chunk() {
    const std::uint64_t size = std::min(chunk_size(), blob_.size - sent_);
    FileBody body{*this, sent_, size};
    RegistryCall call;
    call.method = "PATCH";
    call.url = upload_->location;
    call.scope = scope_;
    call.body = &body;
    call.fields.emplace_back("Content-Type", "application/octet-stream");
    call.fields.emplace_back("Content-Range", fmt::format("{}-{}", sent_, sent_ + size - 1));
    auto exchange = session_.call(endpoint_, call);
    if (!exchange) return fail(exchange.error());
    if (exchange->status() != 202) return fail(RegistrySession::refusal(endpoint_, *exchange));
    auto location = session_.next_url(*exchange);
    if (!location) return fail(location.error());
    exchange->skip_body();
    upload_->location = std::move(*location);
    sent_ += size;
    return std::monostate{};
}

RegistryResult<std::monostate> BlobUpload::finish(std::uint64_t from) {
    FileBody body{*this, from, blob_.size - from};
    RegistryCall call;
    call.method = "PUT";
    call.url = upload_->location;
    call.url.target += call.url.target.find('?') == std::string::npos ? '?' : '&';
    call.url.target += "digest=" + query_value(blob_.digest.str());
    call.scope = scope_;
    call.body = &body;
    call.fields.emplace_back("Content-Type", "application/octet-stream");
    if (from > 0 && from < blob_.size)
        call.fields.emplace_back("Content-Range", fmt::format("{}-{}", from, blob_.size - 1));
    auto exchange = session_.call(endpoint_, call);
    if (!exchange) return fail(exchange.error());
    if (exchange->status() != 201 && exchange->status() != 204)
        return fail(RegistrySession::refusal(endpoint_, *exchange));
    const std::string digest{exchange->answer().field("docker-content-digest")};
    exchange->skip_body();
    if (!digest.empty() && digest != blob_.digest.str()) {
        return fail(
            invalid(fmt::format("{} stored the blob {} under another digest; what it received was damaged on the "
                                "way",
                                endpoint_.name(), blob_.digest.str())));
    }
    return std::monostate{};
}

/// After a break: how much of it arrived (OCI distribution-spec 1.1, "Pushing a blob in chunks"). An error: it is not
/// known, and the upload begins anew.
RegistryResult<std::monostate> BlobUpload::ask_how_far() {
    RegistryCall call;
    call.url = upload_->location;
    call.scope = scope_;
    auto exchange = session_.call(endpoint_, call);
    if (!exchange) return fail(exchange.error());
    if (exchange->status() != 204) return fail(RegistrySession::refusal(endpoint_, *exchange));
    const std::string_view range = exchange->answer().field("range");
    const std::size_t dash = range.find('-');
    if (dash == range.npos) return fail(invalid("no Range"));
    const std::uint64_t last = number(range.substr(dash + 1));
    // "0-0" is how registries say that nothing has come, and also that one byte has: from the start in both cases.
    const std::uint64_t has = last == 0 ? 0 : last + 1;
    if (has > blob_.size || (has == 0 && sent_ > 0)) return fail(invalid("a wrong Range"));
    auto location = session_.next_url(*exchange);
    if (!location) return fail(location.error());
    upload_->location = std::move(*location);
    sent_ = has;
    return std::monostate{};
}

}  // namespace brokerd
