#pragma once

#include <rapidjson/document.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "daemon/images/image_manifest.h"

namespace brokerd {

/// What manifests and indexes have in common: JSON within kMaxImageManifestBytes of which it is certain what it is.
/// A document whose own media type and content type differ is refused, and one that has the members of both kinds
/// (CVE-2021-41190: two readers then see two images under one digest). Errors are sentences about "its manifest".
class ManifestDocument {
public:
    enum class Kind { manifest, index };

    [[nodiscard]] static Result<ManifestDocument> parse(std::string_view bytes, std::string_view content_type);
    /// Whether this is the media type of a manifest or an index that can be read.
    [[nodiscard]] static bool is_manifest_type(std::string_view media_type);

    [[nodiscard]] Kind kind() const noexcept { return kind_; }
    [[nodiscard]] const std::string& media_type() const noexcept { return media_type_; }
    [[nodiscard]] const rapidjson::Value& root() const noexcept { return root_; }

    [[nodiscard]] Result<Descriptor> descriptor(const char* member, std::uint64_t max_size) const;
    [[nodiscard]] Result<std::vector<Descriptor>> descriptors(const char* member, std::size_t max_count,
                                                              std::uint64_t max_size) const;
    [[nodiscard]] Result<std::map<std::string, std::string>> annotations() const;

private:
    ManifestDocument(rapidjson::Document root, Kind kind, std::string media_type) noexcept
        : root_{std::move(root)}, kind_{kind}, media_type_{std::move(media_type)} {}

    rapidjson::Document root_;
    Kind kind_;
    std::string media_type_;
};

}  // namespace brokerd
