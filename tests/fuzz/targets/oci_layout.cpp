// An OCI image layout that is loaded: daemon/images/oci_layout.h. The input: index.json, a manifest, and a config, with
// "%%" between them; @MANIFEST@, @CONFIG@, and both with _SIZE, stand for their digests and sizes.
#include "daemon/images/oci_layout.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>

#include "daemon/images/sha256.h"
#include "tests/fuzz/checks.h"
#include "tests/fuzz/private_root.h"

namespace brokerd::fuzz::oci_layout_target {
namespace {

void replace_all(std::string& text, const std::string& name, const std::string& value) {
    for (std::size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + value.size()))
        text.replace(at, name.size(), value);
}

/// Puts a blob into the layout, and where it is mentioned.
void put(const std::string& name, const std::string& bytes, std::string& mentioned) {
    const Digest digest = Sha256::of(bytes);
    write_file("/layout/blobs/sha256/" + std::string{digest.hex()}, bytes);
    replace_all(mentioned, '@' + name + '@', digest.str());
    replace_all(mentioned, '@' + name + "_SIZE@", std::to_string(bytes.size()));
}

void load(std::vector<std::string> parts) {
    for (const char* const path : {"/layout", "/layout/blobs", "/layout/blobs/sha256"}) mkdir(path, 0755);
    put("CONFIG", parts[2], parts[1]);
    put("CONFIG", parts[2], parts[0]);
    put("MANIFEST", parts[1], parts[0]);
    write_file("/layout/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
    write_file("/layout/index.json", parts[0]);
    auto store = BlobStore::open("/store");
    expect(static_cast<bool>(store), "a store can be opened", store ? "" : store.error().message);
    const UniqueFd layout{open("/layout", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    const auto image = load_layout(layout.get(), **store, {"", {"linux", "amd64", ""}, {}});
    if (!image) return expect_sentence(image.error().message);
    expect(Sha256::of(image->manifest_bytes) == image->manifest_digest, "a manifest is what its digest says");
    expect(Sha256::of(image->config) == image->manifest.config.digest, "a config is what its digest says");
    for (const Descriptor& layer : image->manifest.layers)
        expect((*store)->size(layer.digest) == layer.size, "every layer is in the store");
    // Saved and loaded again it is the same image.
    std::size_t blobs = 0;
    for (const LayoutEntry& entry : plan_layout(image->manifest_bytes, image->manifest, image->annotations)) {
        expect(!entry.path.starts_with('/') && entry.path.find("..") == std::string::npos,
               "a layout's paths are its own", entry.path);
        blobs += entry.blob.has_value() ? 1U : 0U;
    }
    expect(blobs >= 1, "a layout has blobs");
}

}  // namespace

void try_input(std::string_view input) {
    static const auto root = PrivateRoot::make();
    if (!root) return;
    auto parts = parts_of(input, 3);
    root->run([&] {
        load(std::move(parts));
        for (const char* const path : {"/layout", "/store"}) std::filesystem::remove_all(path);
    });
}

}  // namespace brokerd::fuzz::oci_layout_target
