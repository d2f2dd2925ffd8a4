#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace brokerd::test {

inline const std::string kSomeDigest = "sha256:" + std::string(64, 'a');
inline const std::string kOtherDigest = "sha256:" + std::string(64, 'b');

inline std::string descriptor_text(std::string_view media_type, std::string_view digest, std::string_view size,
                                   std::string_view more = "") {
    return fmt::format(R"({{"mediaType":"{}","digest":"{}","size":{}{}}})", media_type, digest, size, more);
}

/// A plugin's manifest in Docker's form, of which a test replaces what it is about.
struct ManifestText {
    std::string media_type = "application/vnd.docker.distribution.manifest.v2+json";
    std::string version = "2";
    std::string config = descriptor_text("application/vnd.docker.plugin.v1+json", kSomeDigest, "665");
    std::string layers = descriptor_text("application/vnd.docker.image.rootfs.diff.tar.gzip", kOtherDigest, "1360");
    std::string more;

    [[nodiscard]] std::string str() const {
        const std::string type = media_type.empty() ? "" : fmt::format(R"(,"mediaType":"{}")", media_type);
        return fmt::format(R"({{"schemaVersion":{},"config":{},"layers":[{}]{}{}}})", version, config, layers, type,
                           more);
    }
};

/// An entry of an index.
inline std::string entry_text(std::string_view digest, std::string_view os, std::string_view architecture,
                              std::string_view variant = "") {
    return descriptor_text(
        "application/vnd.docker.distribution.manifest.v2+json", digest, "415",
        fmt::format(R"(,"platform":{{"os":"{}","architecture":"{}","variant":"{}"}})", os, architecture, variant));
}

inline std::string index_text(std::string_view entries, std::string_view more = "") {
    return fmt::format(R"({{"schemaVersion":2,"manifests":[{}]{}}})", entries, more);
}

}  // namespace brokerd::test
