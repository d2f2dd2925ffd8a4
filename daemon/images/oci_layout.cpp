#include "daemon/images/oci_layout.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include "common/image_reference.h"
#include "common/json.h"
#include "common/os/system_error.h"
#include "common/plugin_name.h"
#include "daemon/images/layout_files.h"
#include "daemon/images/sha256.h"
#include "daemon/images/uninterrupted.h"

namespace brokerd {
namespace {

/// Ours: the file "oci-layout" is {"imageLayoutVersion": "1.0.0"}.
constexpr std::size_t kMaxMarkerBytes = 4096;
constexpr std::size_t kCopyBytes = std::size_t{256} << 10;
constexpr std::string_view kLayoutVersion = "1.0.0";
/// containerd's name for the whole reference, which BuildKit writes too.
constexpr const char* kContainerdNameAnnotation = "io.containerd.image.name";
/// What may name an entry of index.json; brokerd's own comes first.
constexpr std::array kNameAnnotations{kReferenceAnnotation, std::string_view{kContainerdNameAnnotation},
                                      kRefNameAnnotation};

std::optional<Error> marker_problem(const LayoutFiles& files) {
    const auto bytes = files.read("oci-layout", kMaxMarkerBytes);
    if (!bytes) return Error{"it is no OCI image layout: " + bytes.error().message};
    const auto document = parse_json(*bytes);
    if (!document) return Error{"it is no OCI image layout: the file oci-layout is not JSON"};
    const std::string version = string_member(*document, "imageLayoutVersion");
    if (version.substr(0, 2) == "1.") return std::nullopt;
    return Error{fmt::format("it is an OCI image layout of version \"{}\"; brokerd knows {}", escaped(version, 40),
                             kLayoutVersion)};
}

std::vector<std::string> names_of(const Descriptor& entry) {
    std::vector<std::string> names;
    for (const std::string_view key : kNameAnnotations) {
        const auto found = entry.annotations.find(std::string{key});
        if (found != entry.annotations.end() && !found->second.empty()) names.push_back(found->second);
    }
    return names;
}

bool is_called(const Descriptor& entry, const std::string& wanted) {
    const auto reference = ImageReference::parse(wanted);
    for (const std::string& name : names_of(entry)) {
        if (name == wanted) return true;
        const auto other = ImageReference::parse(name);
        if (reference && other && reference->with_default_tag() == other->with_default_tag()) return true;
    }
    return false;
}

/// The entries' names, or digests where they have none, for a person to choose from.
std::string list_of(const std::vector<Descriptor>& entries) {
    std::set<std::string> names;
    for (const Descriptor& entry : entries) {
        const auto own = names_of(entry);
        names.insert(own.empty() ? entry.digest.str() : escaped(own.front(), 100));
    }
    std::string list;
    for (const std::string& name : names) {
        if (list.size() > 500) return list + ", ...";
        list += (list.empty() ? "" : ", ") + name;
    }
    return list;
}

/// The entry that is asked for. Several names for one image are one entry.
Result<Descriptor> choose_entry(const ImageIndex& index, const LayoutRequest& request) {
    ImageIndex candidates;
    std::set<Digest> seen;
    for (const Descriptor& entry : index.manifests) {
        if (!request.name.empty() && !is_called(entry, request.name)) continue;
        if (seen.insert(entry.digest).second) candidates.manifests.push_back(entry);
    }
    const auto& entries = candidates.manifests;
    if (entries.empty()) {
        return fail(fmt::format("it has no image called \"{}\"; there is {}", escaped(request.name, 100),
                                list_of(index.manifests)));
    }
    if (entries.size() == 1) return entries.front();
    const bool one_name = std::all_of(entries.begin(), entries.end(), [&](const Descriptor& entry) {
        return entry.platform && names_of(entry) == names_of(entries.front());
    });
    if (one_name) return candidates.choose_platform(request.platform);
    return fail(fmt::format("it has several images, say which one: {}", list_of(entries)));
}

struct ChosenManifest {
    Descriptor descriptor;
    std::string bytes;
};

/// Follows indexes down to the manifest for the platform.
Result<ChosenManifest> resolve(const LayoutFiles& files, Descriptor entry, const Platform& platform) {
    for (unsigned depth = 0;; ++depth) {
        auto bytes = files.read_blob(entry);
        if (!bytes) return fail(bytes.error());
        if (!is_index(*bytes, entry.media_type)) return ChosenManifest{std::move(entry), *std::move(bytes)};
        if (depth == kMaxIndexDepth) return fail("its lists of manifests are nested too deeply");
        const auto index = ImageIndex::parse(*bytes, entry.media_type);
        if (!index) return fail(index.error());
        auto chosen = index->choose_platform(platform);
        if (!chosen) return fail(chosen.error());
        entry = *std::move(chosen);
    }
}

Failure<LayoutError> refuse(Error error) {
    return fail(LayoutError{LayoutError::Kind::invalid, std::move(error.message)});
}

Failure<LayoutError> refuse(const BlobError& error) {
    const bool is_storage = error.kind == BlobError::Kind::storage;
    return fail(LayoutError{is_storage ? LayoutError::Kind::storage : LayoutError::Kind::invalid, error.message});
}

/// Copies one blob into the store, unless it is there.
class BlobCopy {
public:
    BlobCopy(const LayoutFiles& files, BlobStore& store, const LayoutRequest& request)
        : files_{files}, store_{store}, request_{request} {}

    [[nodiscard]] Result<BlobPin, LayoutError> copy(const Descriptor& blob) {
        auto found = store_.find(blob.digest, blob.size);
        if (!found) return refuse(found.error());
        if (*found) {
            if (!tell(blob, blob.size)) return stopped();
            return **std::move(found);
        }
        const auto file = files_.open_blob(blob);
        if (!file) return refuse(file.error());
        auto writer = store_.begin(blob.digest, blob.size);
        if (!writer) return refuse(writer.error());
        if (auto copied = copy_bytes(file->fd.get(), blob, *writer); !copied) return fail(copied.error());
        auto pin = writer->commit();
        if (!pin) return refuse(pin.error());
        return *std::move(pin);
    }

private:
    [[nodiscard]] Result<std::monostate, LayoutError> copy_bytes(int file, const Descriptor& blob, BlobWriter& writer) {
        buffer_.resize(kCopyBytes);
        for (;;) {
            const ssize_t count = uninterrupted([&] { return ::read(file, buffer_.data(), buffer_.size()); });
            if (count < 0) {
                return fail(LayoutError{
                    LayoutError::Kind::storage,
                    fmt::format("cannot read {} of the layout: {}", layout_blob_path(blob.digest), errno_text(errno))});
            }
            if (count == 0) return std::monostate{};
            auto written = writer.write(std::string_view{buffer_.data(), static_cast<std::size_t>(count)});
            if (!written) return refuse(written.error());
            if (!tell(blob, writer.written())) return stopped();
        }
    }

    [[nodiscard]] bool tell(const Descriptor& blob, std::uint64_t done) const {
        return !request_.progress || request_.progress(blob, done);
    }
    [[nodiscard]] static Failure<LayoutError> stopped() {
        return fail(LayoutError{LayoutError::Kind::stopped, "it was stopped before everything was copied"});
    }

    const LayoutFiles& files_;
    BlobStore& store_;
    const LayoutRequest& request_;
    std::string buffer_;
};

std::optional<std::string> reference_of(const Descriptor& entry) {
    for (const std::string& name : names_of(entry)) {
        // A tag alone would parse too, as the name of an image.
        if (name.find('/') == std::string::npos) continue;
        if (const auto reference = ImageReference::parse(name)) return reference->str();
    }
    return std::nullopt;
}

void write_index_entry(JsonWriter& writer, const Descriptor& manifest) {
    writer.StartObject();
    write_member(writer, "mediaType", manifest.media_type);
    write_member(writer, "digest", manifest.digest.str());
    write_key(writer, "size");
    writer.Uint64(manifest.size);
    write_key(writer, "annotations");
    writer.StartObject();
    for (const auto& [key, value] : manifest.annotations) write_member(writer, key, value);
    writer.EndObject();
    writer.EndObject();
}

std::string index_text(const Descriptor& manifest) {
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    writer.StartObject();
    write_key(writer, "schemaVersion");
    writer.Int(2);
    write_member(writer, "mediaType", kOciIndexType);
    write_key(writer, "manifests");
    writer.StartArray();
    write_index_entry(writer, manifest);
    writer.EndArray();
    writer.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

/// Adds the tag where other programs look for it: skopeo's "oci:DIRECTORY:TAG".
void add_tag(std::map<std::string, std::string>& annotations) {
    const auto own = annotations.find(std::string{kReferenceAnnotation});
    if (own == annotations.end()) return;
    const auto reference = ImageReference::parse(own->second);
    if (reference && reference->tag()) annotations.emplace(kRefNameAnnotation, *reference->tag());
}

}  // namespace

Result<LoadedImage, LayoutError> load_layout(int directory, BlobStore& store, const LayoutRequest& request) {
    const LayoutFiles files{directory};
    if (auto problem = marker_problem(files)) return refuse(*std::move(problem));
    const auto index_bytes = files.read("index.json", kMaxImageManifestBytes);
    if (!index_bytes) return refuse(index_bytes.error());
    const auto index = ImageIndex::parse(*index_bytes, kOciIndexType);
    if (!index) return refuse(Error{"the file index.json: " + index.error().message});
    const auto entry = choose_entry(*index, request);
    if (!entry) return refuse(entry.error());

    auto chosen = resolve(files, *entry, request.platform);
    if (!chosen) return refuse(chosen.error());
    auto manifest = ImageManifest::parse(chosen->bytes, chosen->descriptor.media_type);
    if (!manifest) return refuse(manifest.error());
    auto config = files.read_blob(manifest->config);
    if (!config) return refuse(config.error());
    if (manifest->was_converted() && !looks_like_plugin_config(*config))
        return refuse(not_a_plugin(manifest->config.media_type, *config));

    BlobCopy copies{files, store, request};
    std::vector<BlobPin> pins;
    std::vector<const Descriptor*> blobs{&manifest->config};
    for (const Descriptor& layer : manifest->layers) blobs.push_back(&layer);
    blobs.push_back(&chosen->descriptor);
    for (const Descriptor* blob : blobs) {
        auto pin = copies.copy(*blob);
        if (!pin) return fail(pin.error());
        pins.push_back(*std::move(pin));
    }
    return LoadedImage{chosen->descriptor.digest, std::move(chosen->bytes), *std::move(manifest), *std::move(config),
                       reference_of(*entry),      entry->annotations,       std::move(pins)};
}

std::vector<LayoutEntry> plan_layout(std::string_view manifest_bytes, const ImageManifest& manifest,
                                     const std::map<std::string, std::string>& annotations) {
    Descriptor top{manifest.media_type, Sha256::of(manifest_bytes), manifest_bytes.size(), std::nullopt, "",
                   annotations};
    add_tag(top.annotations);
    std::string marker = fmt::format("{{\"imageLayoutVersion\":\"{}\"}}", kLayoutVersion);
    std::string index = index_text(top);
    std::vector<LayoutEntry> out;
    out.push_back({"oci-layout", marker, std::nullopt, marker.size()});
    out.push_back({"index.json", index, std::nullopt, index.size()});

    std::set<Digest> planned;
    const auto plan = [&](const Descriptor& blob) {
        if (planned.insert(blob.digest).second)
            out.push_back({layout_blob_path(blob.digest), "", blob.digest, blob.size});
    };
    plan(top);
    plan(manifest.config);
    for (const Descriptor& layer : manifest.layers) plan(layer);
    return out;
}

}  // namespace brokerd
