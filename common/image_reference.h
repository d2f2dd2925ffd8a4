#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "common/digest.h"
#include "common/result.h"

namespace brokerd {

/// What a user calls an image: [HOST[:PORT]/]PATH[:TAG][@DIGEST], read as Docker reads it (distribution/reference,
/// "ParseNormalizedNamed"): "vieux/sshfs" is docker.io/vieux/sshfs, "sshfs" is docker.io/library/sshfs; the first part
/// is a host where it has a dot, a colon or an upper-case letter, or is "localhost". Always valid and in the long form;
/// parse() is the only way in. Immutable; any thread.
class ImageReference {
public:
    /// Docker's limit for the long name, host and path, in bytes.
    static constexpr std::size_t kMaxNameBytes = 255;
    static constexpr std::size_t kMaxTagBytes = 128;

    /// The error is one sentence that says what is wrong with it. Refused, where Docker goes on: a host name that is
    /// none ("under_score.com/x", to Docker an image without a host), digests that are not SHA-256.
    [[nodiscard]] static Result<ImageReference> parse(std::string_view text);

    /// "docker.io", "localhost:5000", "[fd00::1]:5000"; upper and lower case as written.
    [[nodiscard]] const std::string& domain() const noexcept { return domain_; }
    /// "vieux/sshfs": what follows the domain, the repository's name within its registry.
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    /// "docker.io/vieux/sshfs"
    [[nodiscard]] std::string name() const;
    [[nodiscard]] const std::optional<std::string>& tag() const noexcept { return tag_; }
    [[nodiscard]] const std::optional<Digest>& digest() const noexcept { return digest_; }

    /// The shortest name that parses to the same: "vieux/sshfs".
    [[nodiscard]] std::string familiar_name() const;
    /// With tag and digest: "vieux/sshfs:latest".
    [[nodiscard]] std::string familiar() const;
    /// The long form: "docker.io/vieux/sshfs:latest".
    [[nodiscard]] std::string str() const;

    /// With the tag "latest", where there is neither tag nor digest.
    [[nodiscard]] ImageReference with_default_tag() const;
    /// With this tag in place of its tag and digest.
    [[nodiscard]] Result<ImageReference> with_tag(std::string_view tag) const;
    /// With this digest in place of its tag and digest.
    [[nodiscard]] ImageReference with_digest(const Digest& digest) const;
    /// Without tag and digest.
    [[nodiscard]] ImageReference without_tag() const;

    friend auto operator<=>(const ImageReference&, const ImageReference&) = default;

private:
    ImageReference(std::string domain, std::string path) noexcept
        : domain_{std::move(domain)}, path_{std::move(path)} {}

    std::string domain_;
    std::string path_;
    std::optional<std::string> tag_;
    std::optional<Digest> digest_;
};

}  // namespace brokerd
