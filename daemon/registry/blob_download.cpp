#include "daemon/registry/blob_download.h"

#include <fmt/format.h>

#include "daemon/http/characters.h"
#include "daemon/images/sha256.h"
#include "daemon/registry/registry_reply.h"
#include "daemon/registry/transfer_retries.h"

namespace brokerd {
namespace {

/// Ours: a download that wins so much per attempt is not given up, however often it breaks.
constexpr std::uint64_t kProgressBytes = std::uint64_t{1} << 20;

RegistryError invalid(std::string message) {
    return {RegistryErrorKind::invalid, std::move(message), false, {}};
}

RegistryResult<std::monostate> translated(Result<std::monostate, BlobError> result) {
    if (result) return std::monostate{};
    const bool storage =
        result.error().kind == BlobError::Kind::storage || result.error().kind == BlobError::Kind::missing;
    return fail(
        RegistryError{storage ? RegistryErrorKind::io : RegistryErrorKind::invalid, result.error().message, false, {}});
}

}  // namespace

bool is_rest_of(std::string_view value, std::uint64_t first, std::uint64_t size) {
    const std::string start = fmt::format("bytes {}-{}/", first, size - 1);
    if (!value.starts_with(start)) return false;
    value.remove_prefix(start.size());
    return value == "*" || value == std::to_string(size);
}

RegistryResult<std::monostate> WriterTarget::write(std::string_view bytes) {
    return translated(writer_.write(bytes));
}
RegistryResult<std::monostate> WriterTarget::restart() {
    return translated(writer_.restart());
}
RegistryResult<std::monostate> WriterTarget::verify() {
    return translated(writer_.verify());
}

RegistryResult<std::monostate> MemoryTarget::write(std::string_view bytes) {
    bytes_ += bytes;
    return std::monostate{};
}
RegistryResult<std::monostate> MemoryTarget::restart() {
    bytes_.clear();
    return std::monostate{};
}
RegistryResult<std::monostate> MemoryTarget::verify() {
    const Digest digest = Sha256::of(bytes_);
    if (digest == blob_.digest) return std::monostate{};
    return fail(
        invalid(fmt::format("the blob {} has other content: its digest is {}", blob_.digest.str(), digest.str())));
}

void BlobDownload::tell(TransferEvent::Phase phase, std::uint64_t done, std::string_view note) const {
    if (progress_) progress_({phase, &blob_, done, blob_.size, note});
}

RegistryResult<std::monostate> BlobDownload::run(BlobTarget& target, const RegistryRetries& limits, int cancel_fd) {
    TransferRetries retries{limits, cancel_fd};
    std::uint64_t reached = target.written();
    for (unsigned wrong_contents = 0;;) {
        auto result = attempt(target);
        if (result) {
            result = target.verify();
            if (result) {
                tell(TransferEvent::Phase::verified, blob_.size);
                return result;
            }
            if (result.error().kind != RegistryErrorKind::invalid) return result;
            // Once more, from the start: a broken proxy or mirror may have a better moment. A lie stays a lie.
            if (++wrong_contents == 2) return result;
            if (const auto restarted = target.restart(); !restarted) return restarted;
            reached = 0;
            tell(TransferEvent::Phase::retrying, 0, result.error().message);
            continue;
        }
        if (target.written() >= reached + kProgressBytes) {
            reached = target.written();
            retries.note_progress();
        }
        if (result.error().transient) tell(TransferEvent::Phase::retrying, target.written(), result.error().message);
        if (auto final_error = retries.refuse(result.error())) return fail(std::move(*final_error));
    }
}

RegistryResult<std::monostate> BlobDownload::attempt(BlobTarget& target) {
    const auto base = endpoint_.base();
    if (!base) return fail(base.error());
    if (target.written() > blob_.size) {
        if (auto restarted = target.restart(); !restarted) return restarted;
    }
    if (target.written() == blob_.size) return std::monostate{};
    RegistryCall call;
    call.url = base->with_target(fmt::format("/v2/{}/blobs/{}", scope_.path, blob_.digest.str()));
    call.scope = scope_;
    call.answer_bytes = blob_.size - target.written();
    if (target.written() > 0) call.fields.emplace_back("Range", fmt::format("bytes={}-", target.written()));
    auto exchange = session_.call(endpoint_, call);
    if (!exchange) return fail(exchange.error());
    if (exchange->status() == 416 && target.written() > 0) {
        exchange->skip_body();
        if (auto restarted = target.restart(); !restarted) return restarted;
        return fail(RegistryError{RegistryErrorKind::unreachable,
                                  fmt::format("{} cannot go on with a broken download", exchange->url().authority()),
                                  true,
                                  {}});
    }
    if (exchange->status() != 200 && exchange->status() != 206)
        return fail(RegistrySession::refusal(endpoint_, *exchange));
    if (auto checked = check_head(*exchange, target); !checked) return checked;
    return take_body(*exchange, target);
}

RegistryResult<std::monostate> BlobDownload::check_head(const HttpExchange& exchange, BlobTarget& target) const {
    const HttpAnswer& answer = exchange.answer();
    const std::string from = exchange.url().authority();
    if (const std::string_view coding = answer.field("content-encoding");
        !coding.empty() && !equals_lower(coding, "identity"))
        return fail(invalid(fmt::format("{} sends the blob in another coding ({}), which nobody asked for", from,
                                        printable_reply(coding, 40))));
    if (answer.status == 206) {
        if (target.written() == 0) return fail(invalid(from + " sends a part of a blob that was asked for whole"));
        if (is_rest_of(answer.field("content-range"), target.written(), blob_.size)) return std::monostate{};
        if (const auto restarted = target.restart(); !restarted) return restarted;
        return fail(RegistryError{
            RegistryErrorKind::unreachable, fmt::format("{} sends another part than was asked for", from), true, {}});
    }
    if (answer.length && *answer.length != blob_.size) {
        return fail(invalid(fmt::format("{} has a blob of {} bytes under {}, not of {} as the manifest says", from,
                                        *answer.length, blob_.digest.str(), blob_.size)));
    }
    // All of it, although only the rest was asked for.
    if (target.written() > 0) return target.restart();
    return std::monostate{};
}

RegistryResult<std::monostate> BlobDownload::take_body(HttpExchange& exchange, BlobTarget& target) {
    const auto read = exchange.read_body([&](std::string_view piece) -> RegistryResult<std::monostate> {
        if (piece.size() > blob_.size - target.written()) {
            return fail(invalid(fmt::format("{} sends more than the {} bytes that the blob {} has",
                                            exchange.url().authority(), blob_.size, blob_.digest.str())));
        }
        auto written = target.write(piece);
        if (written) tell(TransferEvent::Phase::downloading, target.written());
        return written;
    });
    if (!read) return read;
    if (target.written() == blob_.size) return std::monostate{};
    // A body that ends early and in good order was short from the start, or its end was cut off without a trace.
    return fail(RegistryError{RegistryErrorKind::unreachable,
                              fmt::format("{} sends only {} of the {} bytes that the blob {} has",
                                          exchange.url().authority(), target.written(), blob_.size, blob_.digest.str()),
                              true,
                              {}});
}

}  // namespace brokerd
