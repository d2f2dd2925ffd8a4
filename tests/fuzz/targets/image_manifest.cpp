// Manifests and indexes of images: daemon/images/image_manifest.h. The input: the content type in its first line, then
// the document.
#include "daemon/images/image_manifest.h"

#include <algorithm>

#include "tests/fuzz/checks.h"

namespace brokerd::fuzz::image_manifest_target {
namespace {

void expect_manifest(const ImageManifest& manifest) {
    expect(manifest.layers.size() <= kMaxLayers, "a manifest has no more layers than Docker takes");
    expect(manifest.config.size <= kMaxImageConfigBytes, "a config is not too large");
    std::uint64_t most = manifest.config.size;
    for (const Descriptor& layer : manifest.layers) {
        expect(layer.size <= kMaxLayerBytes, "a layer is not too large");
        expect(layer_compression(layer.media_type).has_value(), "a layer can be unpacked", layer.media_type);
        most += layer.size;
    }
    expect(manifest.total_size() <= most, "each blob counts once");
    std::vector<BlobSize> layers;
    for (const Descriptor& layer : manifest.layers) layers.push_back({layer.digest, layer.size});
    const std::string made = write_plugin_manifest({manifest.config.digest, manifest.config.size}, layers);
    const auto again = ImageManifest::parse(made, kDockerManifestType);
    expect(again && again->config.digest == manifest.config.digest && again->layers.size() == layers.size(),
           "a manifest that is made can be read", made);
}

void expect_index(const ImageIndex& index) {
    expect(!index.manifests.empty() && index.manifests.size() <= kMaxIndexEntries, "an index has entries");
    const auto chosen = index.choose_platform(Platform::from_machine("x86_64"));
    if (!chosen) return expect_sentence(chosen.error().message);
    expect(std::any_of(index.manifests.begin(), index.manifests.end(),
                       [&](const Descriptor& entry) { return entry.digest == chosen->digest; }),
           "what is chosen is one of the entries");
}

}  // namespace

void try_input(std::string_view input) {
    const std::size_t line = std::min(input.find('\n'), input.size());
    const std::string_view type = input.substr(0, line);
    const std::string_view bytes = input.substr(std::min(line + 1, input.size()));
    const auto manifest = ImageManifest::parse(bytes, type);
    const auto index = ImageIndex::parse(bytes, type);
    expect(!manifest || !index, "no document is a manifest and an index");
    expect(is_index(bytes, type) ? !manifest : !index, "a document is what it is taken for");
    if (manifest) {
        expect_manifest(*manifest);
        expect(static_cast<bool>(ImageManifest::parse(bytes, manifest->media_type)), "its own type fits a manifest");
    } else {
        expect_sentence(manifest.error().message);
    }
    if (index) {
        expect_index(*index);
    } else {
        expect_sentence(index.error().message);
    }
    static_cast<void>(looks_like_plugin_config(bytes));
    expect_sentence(not_a_plugin(type, bytes).message);
}

}  // namespace brokerd::fuzz::image_manifest_target
