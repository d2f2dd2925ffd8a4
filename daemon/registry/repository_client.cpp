#include "daemon/registry/repository_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "daemon/http/characters.h"
#include "daemon/images/sha256.h"
#include "daemon/registry/blob_download.h"
#include "daemon/registry/blob_upload.h"
#include "daemon/registry/registry_reply.h"
#include "daemon/registry/registry_session.h"
#include "daemon/registry/transfer_retries.h"

// Who may see what. A job talks to the registry of its image (or, for pulls from docker.io, to mirrors before it), to
// the token service that this registry names, and to whatever hosts they redirect downloads to. Content is believed
// from anybody, because it is verified; secrets go to the registry and its token service only (RegistryEndpoint).
// Everything transient is retried at one place per operation (with_retries, BlobDownload, BlobUpload), below it nothing
// is.

namespace brokerd {
namespace {

constexpr std::string_view kManifestTypes =
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json";

RegistryError invalid(std::string message) {
    return {RegistryErrorKind::invalid, std::move(message), false, {}};
}

Failure<RegistryError> in_context(const RegistryError& error, const std::string& what) {
    RegistryError told = error;
    if (told.kind != RegistryErrorKind::cancelled) told.message = fmt::format("cannot {}: {}", what, error.message);
    return fail(std::move(told));
}

/// The type without parameters, in lower case (RFC 9110 8.3.1).
std::string media_type_of(std::string_view content_type) {
    std::string type{trim_blanks(content_type.substr(0, content_type.find(';')))};
    for (char& c : type) c = to_lower(c);
    return type;
}

/// A tag or a digest, as a part of a path: what is neither would ask for something else.
bool is_reference(std::string_view text) {
    if (Digest::parse(text)) return true;
    // OCI distribution-spec 1.1, "Pulling manifests": [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}
    constexpr std::string_view kMarks = "._-";
    return !text.empty() && text.size() <= ImageReference::kMaxTagBytes && text[0] != '.' && text[0] != '-' &&
           std::all_of(text.begin(), text.end(), [&](char c) {
               return is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'z') || kMarks.find(c) != kMarks.npos;
           });
}

}  // namespace

class RepositoryClient::Job {
public:
    Job(const RegistrySettings& settings, const ImageReference& repository, const RegistryCredentials& credentials,
        RegistryAccess access, int cancel_fd);

    [[nodiscard]] RegistryResult<FetchedManifest> manifest(const std::string& reference,
                                                           const TransferProgress& progress);
    [[nodiscard]] RegistryResult<std::monostate> download(const Descriptor& blob, BlobTarget& target,
                                                          const TransferProgress& progress);
    [[nodiscard]] RegistryResult<bool> has_blob(const Digest& digest);
    [[nodiscard]] RegistryResult<bool> mount(const Digest& digest, std::string_view from);
    [[nodiscard]] RegistryResult<std::monostate> upload(int fd, const Descriptor& blob,
                                                        const TransferProgress& progress);
    [[nodiscard]] RegistryResult<Digest> put_manifest(std::string_view bytes, std::string_view media_type,
                                                      const std::string& reference);
    [[nodiscard]] const std::string& name() const noexcept { return name_; }

private:
    /// Asked in order until one has what is wanted; the last one is the registry itself.
    struct Source {
        std::unique_ptr<RegistryEndpoint> endpoint;
        std::atomic<bool> skipped = false;  ///< a mirror that is down or lies: not asked again in this job
    };

    void add_mirrors();
    [[nodiscard]] RegistryEndpoint& registry() noexcept { return *sources_.back()->endpoint; }
    [[nodiscard]] RegistryResult<FetchedManifest> fetch_manifest(RegistryEndpoint& endpoint,
                                                                 const std::string& reference) const;
    template <class Attempt>
    [[nodiscard]] auto from_first(const TransferProgress& progress, const Attempt& attempt)
        -> decltype(attempt(std::declval<RegistryEndpoint&>(), std::declval<const RegistryRetries&>()));

    const RegistrySettings settings_;
    const RegistryRetries once_{1, {}, {}, {}, {}};  ///< for mirrors: there is another place to ask
    const std::string name_;                         ///< as the user writes it, for messages
    const RegistryScope scope_;
    mutable HttpPool pool_;
    mutable RegistrySession session_{pool_, settings_};
    std::vector<std::unique_ptr<Source>> sources_;
};

RepositoryClient::Job::Job(const RegistrySettings& settings, const ImageReference& repository,
                           const RegistryCredentials& credentials, RegistryAccess access, int cancel_fd)
    : settings_{settings},
      name_{repository.familiar_name()},
      scope_{repository.path(), access == RegistryAccess::push, {}},
      pool_{settings_, cancel_fd} {
    const bool is_docker = repository.domain() == kDockerDomain;
    if (is_docker && access == RegistryAccess::pull) add_mirrors();
    // Always valid for a valid reference; were it not, the name would just not resolve.
    auto url = Url::of_authority(true, is_docker ? kDockerRegistryHost : std::string_view{repository.domain()});
    auto registry = std::make_unique<Source>();
    registry->endpoint = std::make_unique<RegistryEndpoint>(
        pool_, settings_, url.value_or(Url{true, "invalid.", 443, "/", {}}), false,
        credentials.belong_to(repository.domain()) ? credentials : RegistryCredentials{});
    sources_.push_back(std::move(registry));
}

void RepositoryClient::Job::add_mirrors() {
    for (const std::string& text : settings_.mirrors) {
        const auto url = Url::parse(text);
        if (!url) continue;
        auto mirror = std::make_unique<Source>();
        mirror->endpoint =
            std::make_unique<RegistryEndpoint>(pool_, settings_, url->with_target("/"), true, RegistryCredentials{});
        sources_.push_back(std::move(mirror));
    }
}

template <class Attempt>
auto RepositoryClient::Job::from_first(const TransferProgress& progress, const Attempt& attempt)
    -> decltype(attempt(std::declval<RegistryEndpoint&>(), std::declval<const RegistryRetries&>())) {
    for (const auto& source : sources_) {
        if (source == sources_.back() || source->skipped) continue;
        auto result = attempt(*source->endpoint, once_);
        if (result || result.error().kind == RegistryErrorKind::cancelled ||
            result.error().kind == RegistryErrorKind::io)
            return result;
        if (result.error().kind != RegistryErrorKind::not_found) source->skipped = true;
        const std::string note =
            fmt::format("the mirror {} is skipped: {}", source->endpoint->name(), result.error().message);
        if (progress) progress({TransferEvent::Phase::note, nullptr, 0, 0, note});
    }
    return attempt(registry(), settings_.retries);
}

RegistryResult<FetchedManifest> RepositoryClient::Job::manifest(const std::string& reference,
                                                                const TransferProgress& progress) {
    return from_first(progress, [&](RegistryEndpoint& endpoint, const RegistryRetries& retries) {
        return with_retries(
            retries, pool_.cancel_fd(), [&] { return fetch_manifest(endpoint, reference); },
            [&](const RegistryError& error) {
                if (progress) progress({TransferEvent::Phase::retrying, nullptr, 0, 0, error.message});
            });
    });
}

RegistryResult<FetchedManifest> RepositoryClient::Job::fetch_manifest(RegistryEndpoint& endpoint,
                                                                      const std::string& reference) const {
    const auto base = endpoint.base();
    if (!base) return fail(base.error());
    RegistryCall call;
    call.url = base->with_target(fmt::format("/v2/{}/manifests/{}", scope_.path, reference));
    call.scope = scope_;
    call.fields.emplace_back("Accept", kManifestTypes);
    auto exchange = session_.call(endpoint, call);
    if (!exchange) return fail(exchange.error());
    if (exchange->status() != 200) return fail(RegistrySession::refusal(endpoint, *exchange));
    if (const std::string_view coding = exchange->answer().field("content-encoding");
        !coding.empty() && !equals_lower(coding, "identity"))
        return fail(invalid(endpoint.name() + " sends the manifest in another coding, which nobody asked for"));
    auto bytes = exchange->body(kMaxImageManifestBytes);
    if (!bytes) {
        RegistryError error = bytes.error();
        if (error.kind == RegistryErrorKind::invalid)
            error.message = fmt::format("the manifest from {}: {}", endpoint.name(), error.message);
        return fail(std::move(error));
    }
    Digest digest = Sha256::of(*bytes);
    const std::string_view said = exchange->answer().field("docker-content-digest");
    const auto wrong = [&](std::string_view expected) {
        return fail(invalid(fmt::format("{} sends a manifest with the digest {} in place of {}", endpoint.name(),
                                        digest.str(), printable_reply(expected, 100))));
    };
    if (Digest::parse(reference) && reference != digest.str()) return wrong(reference);
    // Other algorithms cannot be compared; the content is what the digest that we compute says.
    if (said.starts_with("sha256:") && said != digest.str()) return wrong(said);
    return FetchedManifest{std::move(*bytes), media_type_of(exchange->answer().field("content-type")),
                           std::move(digest), endpoint.name()};
}

RegistryResult<std::monostate> RepositoryClient::Job::download(const Descriptor& blob, BlobTarget& target,
                                                               const TransferProgress& progress) {
    bool first = true;
    return from_first(
        progress, [&](RegistryEndpoint& endpoint, const RegistryRetries& retries) -> RegistryResult<std::monostate> {
            // What a mirror gave before it failed is not mixed with what another one gives.
            if (!std::exchange(first, false)) {
                if (auto restarted = target.restart(); !restarted) return restarted;
            }
            return BlobDownload{session_, endpoint, scope_, blob, progress}.run(target, retries, pool_.cancel_fd());
        });
}

RegistryResult<bool> RepositoryClient::Job::has_blob(const Digest& digest) {
    const auto attempt = [&]() -> RegistryResult<bool> {
        const auto base = registry().base();
        if (!base) return fail(base.error());
        RegistryCall call;
        call.method = "HEAD";
        call.url = base->with_target(fmt::format("/v2/{}/blobs/{}", scope_.path, digest.str()));
        call.scope = scope_;
        auto exchange = session_.call(registry(), call);
        if (!exchange) return fail(exchange.error());
        if (exchange->status() == 200) return true;
        if (exchange->status() == 404) return false;
        return fail(RegistrySession::refusal(registry(), *exchange));
    };
    return with_retries(settings_.retries, pool_.cancel_fd(), attempt, [](const RegistryError&) {});
}

RegistryResult<bool> RepositoryClient::Job::mount(const Digest& digest, std::string_view from) {
    RegistryScope scope = scope_;
    scope.from = from;
    const auto attempt = [&]() -> RegistryResult<bool> {
        const auto started = BlobUpload::start(session_, registry(), scope, digest);
        if (!started) return fail(started.error());
        return !started->has_value();
    };
    return with_retries(settings_.retries, pool_.cancel_fd(), attempt, [](const RegistryError&) {});
}

RegistryResult<std::monostate> RepositoryClient::Job::upload(int fd, const Descriptor& blob,
                                                             const TransferProgress& progress) {
    return BlobUpload{session_, registry(), scope_, blob, fd, progress}.run(settings_.retries, pool_.cancel_fd());
}

RegistryResult<Digest> RepositoryClient::Job::put_manifest(std::string_view bytes, std::string_view media_type,
                                                           const std::string& reference) {
    const Digest digest = Sha256::of(bytes);
    const auto attempt = [&]() -> RegistryResult<Digest> {
        const auto base = registry().base();
        if (!base) return fail(base.error());
        MemoryBody body{bytes};
        RegistryCall call;
        call.method = "PUT";
        call.url = base->with_target(fmt::format("/v2/{}/manifests/{}", scope_.path, reference));
        call.scope = scope_;
        call.body = &body;
        call.fields.emplace_back("Content-Type", media_type);
        auto exchange = session_.call(registry(), call);
        if (!exchange) return fail(exchange.error());
        if (exchange->status() / 100 != 2) return fail(RegistrySession::refusal(registry(), *exchange));
        const std::string_view said = exchange->answer().field("docker-content-digest");
        if (said.starts_with("sha256:") && said != digest.str()) {
            return fail(invalid(fmt::format("{} stored the manifest {} as {}; what it received was changed on the way",
                                            registry().name(), digest.str(), printable_reply(said, 100))));
        }
        exchange->skip_body();
        return digest;
    };
    return with_retries(settings_.retries, pool_.cancel_fd(), attempt, [](const RegistryError&) {});
}

RepositoryClient::RepositoryClient(const RegistrySettings& settings, const ImageReference& repository,
                                   const RegistryCredentials& credentials, RegistryAccess access, int cancel_fd)
    : job_{std::make_unique<Job>(settings, repository, credentials, access, cancel_fd)} {}

RepositoryClient::~RepositoryClient() = default;

RegistryResult<FetchedManifest> RepositoryClient::manifest(std::string_view tag_or_digest,
                                                           const TransferProgress& progress) {
    const bool is_digest = tag_or_digest.find(':') != tag_or_digest.npos;
    const std::string what =
        fmt::format("get {}{}{}", job_->name(), is_digest ? '@' : ':', printable_reply(tag_or_digest));
    if (!is_reference(tag_or_digest)) return in_context(invalid("it is neither a tag nor a digest"), what);
    auto result = job_->manifest(std::string{tag_or_digest}, progress);
    if (!result) return in_context(result.error(), what);
    return result;
}

RegistryResult<FetchedManifest> RepositoryClient::manifest(const Digest& digest, const TransferProgress& progress) {
    return manifest(std::string_view{digest.str()}, progress);
}

RegistryResult<std::monostate> RepositoryClient::fetch_blob(const Descriptor& blob, BlobWriter& writer,
                                                            const TransferProgress& progress) {
    WriterTarget target{writer};
    auto result = job_->download(blob, target, progress);
    if (!result) return in_context(result.error(), "download a blob of " + job_->name());
    return result;
}

RegistryResult<std::string> RepositoryClient::small_blob(const Descriptor& blob, std::size_t limit) {
    const std::string what = "download a blob of " + job_->name();
    if (blob.size > limit) {
        return in_context(invalid(fmt::format("{} has {} bytes, more than the {} that are read", blob.digest.str(),
                                              blob.size, limit)),
                          what);
    }
    MemoryTarget target{blob};
    const auto result = job_->download(blob, target, {});
    if (!result) return in_context(result.error(), what);
    return std::move(target).take();
}

RegistryResult<bool> RepositoryClient::has_blob(const Digest& digest) {
    auto result = job_->has_blob(digest);
    if (!result) return in_context(result.error(), "look for a blob of " + job_->name());
    return result;
}

RegistryResult<bool> RepositoryClient::mount(const Digest& digest, std::string_view from_repository) {
    auto result = job_->mount(digest, from_repository);
    if (!result) return in_context(result.error(), "push a blob to " + job_->name());
    return result;
}

RegistryResult<std::monostate> RepositoryClient::upload_blob(int fd, const Descriptor& blob,
                                                             const TransferProgress& progress) {
    auto result = job_->upload(fd, blob, progress);
    if (!result) return in_context(result.error(), "push a blob to " + job_->name());
    return result;
}

RegistryResult<Digest> RepositoryClient::put_manifest(std::string_view bytes, std::string_view media_type,
                                                      std::string_view tag_or_digest) {
    const std::string what = "push the manifest of " + job_->name();
    if (!is_reference(tag_or_digest) || bytes.empty() || span_of(media_type, kValueCharacter) != media_type.size())
        return in_context(invalid("its tag, digest, type or content cannot be sent"), what);
    auto result = job_->put_manifest(bytes, media_type, std::string{tag_or_digest});
    if (!result) return in_context(result.error(), what);
    return result;
}

}  // namespace brokerd
