#include "daemon/images/oci_layout.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/images/image_fixture.h"
#include "tests/unit/images/manifest_texts.h"

using namespace brokerd;
using namespace brokerd::test;

namespace {

const std::string kConfig = R"({"interface":{"types":["docker.volumedriver/1.0"],"socket":"s.sock"}})";
const Platform kAmd64{"linux", "amd64", ""};

/// A layout in a directory of its own, beside a store.
struct LayoutFixture : StoreFixture {
    std::string layout = directory / "layout";
    LayoutRequest request{"", kAmd64, {}};

    LayoutFixture() {
        std::filesystem::create_directories(layout + "/blobs/sha256");
        write_file(layout + "/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
    }

    std::string blob_path(const std::string& bytes) const {
        return layout + "/blobs/sha256/" + std::string{Sha256::of(bytes).hex()};
    }
    void add_blob(const std::string& bytes) const { write_file(blob_path(bytes), bytes); }

    std::string manifest_text(const std::string& layer, const std::string& config = kConfig,
                              std::string_view config_type = kPluginConfigType) const {
        ManifestText text;
        text.config = descriptor_text(config_type, Sha256::of(config).str(), std::to_string(config.size()));
        text.layers = descriptor_text(kDockerLayerType, Sha256::of(layer).str(), std::to_string(layer.size()));
        return text.str();
    }
    /// Adds an image; its entry for an index. `more` are members of the entry.
    std::string add_image(const std::string& layer, const std::string& more = "") const {
        const std::string manifest = manifest_text(layer);
        for (const std::string& bytes : {kConfig, layer, manifest}) add_blob(bytes);
        return entry(manifest, more);
    }
    static std::string entry(const std::string& document, const std::string& more = "",
                             std::string_view type = kDockerManifestType) {
        return descriptor_text(type, Sha256::of(document).str(), std::to_string(document.size()), more);
    }
    static std::string called(const std::string& name) {
        return fmt::format(R"(,"annotations":{{"org.opencontainers.image.ref.name":"{}"}})", name);
    }
    void set_index(const std::string& entries) const { write_file(layout + "/index.json", index_text(entries)); }

    Result<LoadedImage, LayoutError> load() const {
        const UniqueFd root{::open(layout.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        return load_layout(root.get(), *store, request);
    }
    std::string outcome() const {
        const auto image = load();
        return image ? "loaded" : image.error().message;
    }
    /// After a refusal there is nothing unverified, nothing half.
    void check_clean() const {
        CHECK(temporary_files().empty());
        for (const std::string& name : names_in(path + "/sha256")) CHECK(store->verify(*Digest::from_hex(name)));
    }
};

}  // namespace

TEST_CASE_METHOD(LayoutFixture, "a plugin is copied from a layout into the store", "[images]") {
    const std::string layer(700'000, 'l');
    set_index(add_image(layer, called("v1")));
    std::map<Digest, std::uint64_t> progress;
    request.progress = [&](const Descriptor& blob, std::uint64_t done) {
        CHECK(done > progress[blob.digest]);
        progress[blob.digest] = done;
        return true;
    };
    const auto image = load();
    REQUIRE(image);
    CHECK(image->manifest_bytes == manifest_text(layer));
    CHECK(image->manifest_digest == Sha256::of(image->manifest_bytes));
    CHECK(image->config == kConfig);
    CHECK_FALSE(image->reference_name);
    CHECK(image->annotations.at("org.opencontainers.image.ref.name") == "v1");
    CHECK(image->pins.size() == 3);
    CHECK(store->collect(std::set<Digest>{})->count == 0);
    CHECK(*store->verify(Sha256::of(layer)) == layer.size());
    CHECK(*store->read_small(image->manifest_digest, 4096) == image->manifest_bytes);
    CHECK(*store->read_small(Sha256::of(kConfig), 4096) == kConfig);
    CHECK(progress[Sha256::of(layer)] == layer.size());
}

TEST_CASE_METHOD(LayoutFixture, "blobs that the store has are not read again", "[images]") {
    set_index(add_image("layer"));
    (void)put("layer");
    std::filesystem::remove(blob_path("layer"));
    CHECK(outcome() == "loaded");
}

TEST_CASE_METHOD(LayoutFixture, "loading stops when it is told to", "[images]") {
    set_index(add_image(std::string(700'000, 'l')));
    request.progress = [](const Descriptor& blob, std::uint64_t) { return blob.size < 1000; };
    CHECK(outcome() == "it was stopped before everything was copied");
    check_clean();
}

TEST_CASE_METHOD(LayoutFixture, "what brokerd writes it reads, byte for byte", "[images]") {
    set_index(add_image("layer"));
    const auto image = load();
    REQUIRE(image);
    const std::map<std::string, std::string> annotations{
        {std::string{kReferenceAnnotation}, "docker.io/vieux/sshfs:v2"},
        {std::string{kSettingsAnnotation}, R"({"Env":["A=\"b\""]})"},
        {std::string{kPrivilegesAnnotation}, R"([{"Name":"network","Value":["host"]}])"}};
    const auto plan = plan_layout(image->manifest_bytes, image->manifest, annotations);
    REQUIRE(plan.size() == 5);
    CHECK(plan[0].path == "oci-layout");
    CHECK(plan[0].bytes == R"({"imageLayoutVersion":"1.0.0"})");
    CHECK(plan[1].path == "index.json");

    layout = directory / "second";
    std::filesystem::create_directories(layout + "/blobs/sha256");
    for (const LayoutEntry& entry : plan) {
        const std::string bytes = entry.blob ? *store->read_small(*entry.blob, 1 << 20) : entry.bytes;
        CHECK(bytes.size() == entry.size);
        write_file(layout + '/' + entry.path, bytes);
    }
    store = *BlobStore::open(directory / "other-blobs");
    const auto again = load();
    REQUIRE(again);
    CHECK(again->manifest_bytes == image->manifest_bytes);
    CHECK(again->reference_name == "docker.io/vieux/sshfs:v2");
    for (const auto& [key, value] : annotations) CHECK(again->annotations.at(key) == value);
    CHECK(again->annotations.at("org.opencontainers.image.ref.name") == "v2");
}

TEST_CASE_METHOD(LayoutFixture, "of several images the one that is asked for", "[images]") {
    const std::string one = add_image("one", called("docker.io/me/one:latest"));
    const std::string two = add_image("two", called("v2"));
    set_index(one + "," + two);
    CHECK(outcome() == "it has several images, say which one: docker.io/me/one:latest, v2");
    request.name = "me/one";
    CHECK(load()->reference_name == "docker.io/me/one:latest");
    request.name = "v2";
    CHECK(load()->manifest_bytes == manifest_text("two"));
    request.name = "v3";
    CHECK(outcome() == "it has no image called \"v3\"; there is docker.io/me/one:latest, v2");
}

TEST_CASE_METHOD(LayoutFixture, "several names for one image are no choice", "[images]") {
    set_index(add_image("one", called("a")) + "," + add_image("one", called("b")));
    CHECK(outcome() == "loaded");
}

TEST_CASE_METHOD(LayoutFixture, "of several platforms this one", "[images]") {
    const auto platform = [](const std::string& architecture) {
        return R"(,"platform":{"os":"linux","architecture":")" + architecture + R"("})";
    };
    const std::string entries = add_image("arm", platform("arm64")) + "," + add_image("amd", platform("amd64"));
    SECTION("in index.json itself") {
        set_index(entries);
    }
    SECTION("in an index below it") {
        const std::string inner = index_text(entries);
        add_blob(inner);
        set_index(entry(inner, called("v1"), kOciIndexType));
    }
    CHECK(load()->manifest_bytes == manifest_text("amd"));
    request.platform = {"linux", "s390x", ""};
    CHECK(outcome() == "it has no image for linux/s390x; there is linux/amd64, linux/arm64");
}

TEST_CASE_METHOD(LayoutFixture, "indexes are followed to a depth", "[images]") {
    std::string entries = add_image("layer");
    for (int depth = 0; depth < 2; ++depth) {
        const std::string inner = index_text(entries);
        add_blob(inner);
        entries = entry(inner, "", kOciIndexType);
    }
    set_index(entries);
    CHECK(outcome() == "loaded");
    const std::string third = index_text(entries);
    add_blob(third);
    set_index(entry(third, "", kOciIndexType));
    CHECK(outcome() == "its lists of manifests are nested too deeply");
}

TEST_CASE_METHOD(LayoutFixture, "a layout without its parts is refused", "[images]") {
    CHECK(outcome() == "the layout has no file index.json");
    set_index(add_image("layer"));
    std::filesystem::remove(blob_path("layer"));
    CHECK_THAT(outcome(), Catch::StartsWith("the layout has no file blobs/sha256/"));
    std::filesystem::remove(layout + "/oci-layout");
    CHECK_THAT(outcome(), Catch::StartsWith("it is no OCI image layout"));
    write_file(layout + "/oci-layout", R"({"imageLayoutVersion":"2.0.0"})");
    CHECK(outcome() == "it is an OCI image layout of version \"2.0.0\"; brokerd knows 1.0.0");
    write_file(layout + "/oci-layout", std::string(5000, ' '));
    CHECK_THAT(outcome(), Catch::Contains("longer than 4096 bytes"));
    check_clean();
}

TEST_CASE_METHOD(LayoutFixture, "damaged blobs of a layout are refused", "[images]") {
    const std::string entry_of_image = add_image("layer");
    set_index(entry_of_image);
    const std::string manifest = manifest_text("layer");
    for (const std::string& original : {std::string{"layer"}, kConfig, manifest}) {
        std::string other = original;
        other.back() = '?';
        for (const std::string& bytes : {other, original.substr(1), original + "x", std::string{}}) {
            INFO(original << " became " << bytes);
            write_file(blob_path(original), bytes);
            CHECK_THAT(outcome(), Catch::Contains("damaged") || Catch::Contains("were announced") ||
                                      Catch::Contains("other content than announced"));
            check_clean();
        }
        add_blob(original);
    }
    CHECK(outcome() == "loaded");
}

TEST_CASE_METHOD(LayoutFixture, "links do not lead out of a layout", "[images]") {
    set_index(add_image("layer"));
    write_file(directory / "outside", "layer");
    const std::string blob = blob_path("layer");
    SECTION("a blob that is an absolute link") {
        std::filesystem::remove(blob);
        std::filesystem::create_symlink(directory / "outside", blob);
    }
    SECTION("a blob that is a relative link") {
        std::filesystem::remove(blob);
        std::filesystem::create_symlink("../../../outside", blob);
    }
    SECTION("a link within the layout") {
        std::filesystem::rename(blob, layout + "/elsewhere");
        std::filesystem::create_symlink("../../elsewhere", blob);
    }
    SECTION("a directory that is a link") {
        std::filesystem::rename(layout + "/blobs", directory / "moved");
        std::filesystem::create_symlink("../moved", layout + "/blobs");
    }
    SECTION("an index that is a link") {
        std::filesystem::rename(layout + "/index.json", directory / "moved.json");
        std::filesystem::create_symlink("../moved.json", layout + "/index.json");
    }
    CHECK_THAT(outcome(), Catch::Contains("it is a symbolic link, or leads through one"));
    check_clean();
}

TEST_CASE_METHOD(LayoutFixture, "what is no regular file holds nobody up", "[images]") {
    set_index(add_image("layer"));
    const std::string blob = blob_path("layer");
    std::filesystem::remove(blob);
    SECTION("a pipe") {
        REQUIRE(::mkfifo(blob.c_str(), 0600) == 0);
    }
    SECTION("a directory") {
        std::filesystem::create_directory(blob);
    }
    CHECK_THAT(outcome(), Catch::Contains("is not a regular file"));
}

TEST_CASE_METHOD(LayoutFixture, "an image in a layout that is no plugin is refused", "[images]") {
    const auto with_config = [&](const std::string& config, std::string_view type) {
        const std::string manifest = manifest_text("layer", config, type);
        for (const std::string& bytes : {config, std::string{"layer"}, manifest}) add_blob(bytes);
        set_index(entry(manifest));
        return outcome();
    };
    CHECK_THAT(with_config("{}", "application/vnd.docker.container.image.v1+json"),
               Catch::StartsWith("it is an image, not a plugin"));
    CHECK_THAT(with_config(R"({"architecture":"amd64","os":"linux"})", kOciConfigType),
               Catch::StartsWith("it is an image, not a plugin"));
    CHECK_THAT(with_config(R"({"architecture":"","os":"","config":{}})", kOciConfigType),
               Catch::Contains("a converter has dropped its config"));
    CHECK(names_in(path + "/sha256").empty());
    CHECK(with_config(kConfig, kOciConfigType) == "loaded");
}

TEST_CASE_METHOD(LayoutFixture, "a layout's index may be damaged in any way", "[images]") {
    set_index(add_image("layer"));
    const std::string index = read_file(layout + "/index.json");
    for (std::size_t length = 0; length < index.size(); ++length) {
        write_file(layout + "/index.json", std::string_view{index}.substr(0, length));
        REQUIRE_THAT(outcome(), Catch::StartsWith("the file index.json: "));
    }
    set_index("");
    CHECK(outcome() == "the file index.json: its list of manifests names no image");
}

TEST_CASE_METHOD(LayoutFixture, "images without names are told apart by their digests", "[images]") {
    const std::string one = add_image("one");
    const std::string two = add_image("two", called(""));
    set_index(one + "," + two);
    const std::string listed = outcome();
    CHECK_THAT(listed, Catch::Contains("say which one: sha256:"));
    CHECK_THAT(listed, Catch::Contains(Sha256::of(manifest_text("one")).str()));
    CHECK_THAT(listed, Catch::Contains(Sha256::of(manifest_text("two")).str()));
    request.name = "No Reference";
    CHECK_THAT(outcome(), Catch::StartsWith("it has no image called \"No Reference\""));
}

TEST_CASE_METHOD(LayoutFixture, "a long list of images is cut", "[images]") {
    std::string entries;
    for (int i = 0; i < 20; ++i)
        entries += (i == 0 ? "" : ",") +
                   add_image("layer " + std::to_string(i), called("v" + std::to_string(i) + std::string(50, 'x')));
    set_index(entries);
    CHECK_THAT(outcome(), Catch::EndsWith(", ..."));
    CHECK(outcome().size() < 700);
}

TEST_CASE_METHOD(LayoutFixture, "two images for two platforms are two where their names differ", "[images]") {
    const std::string platform =
        R"(,"platform":{"os":"linux","architecture":"amd64"},"annotations":{"org.opencontainers.image.ref.name":")";
    set_index(add_image("one", platform + "a\"}") + "," + add_image("two", platform + "b\"}"));
    CHECK(outcome() == "it has several images, say which one: a, b");
}

TEST_CASE_METHOD(LayoutFixture, "a name with a slash that is no reference names nothing", "[images]") {
    set_index(add_image("layer", called("me//UPPER")));
    const auto image = load();
    REQUIRE(image);
    CHECK_FALSE(image->reference_name);
}

TEST_CASE_METHOD(LayoutFixture, "a marker or an inner index that is no JSON is refused", "[images]") {
    add_blob("{");
    set_index(entry("{", "", kOciIndexType));
    CHECK_THAT(outcome(), Catch::Contains("not"));
    CHECK(outcome() != "loaded");
    write_file(layout + "/oci-layout", "{");
    CHECK(outcome() == "it is no OCI image layout: the file oci-layout is not JSON");
    check_clean();
}

TEST_CASE_METHOD(LayoutFixture, "loading can be stopped at a blob that the store has", "[images]") {
    set_index(add_image("layer"));
    (void)put("layer");
    request.progress = [](const Descriptor& blob, std::uint64_t) { return blob.size != 5; };
    CHECK(outcome() == "it was stopped before everything was copied");
}

TEST_CASE_METHOD(LayoutFixture, "a tag is added where the reference has one", "[images]") {
    set_index(add_image("layer"));
    const auto image = load();
    REQUIRE(image);
    const auto index_for = [&](const std::string& reference) {
        return plan_layout(image->manifest_bytes, image->manifest, {{std::string{kReferenceAnnotation}, reference}})
            .at(1)
            .bytes;
    };
    CHECK_THAT(index_for("docker.io/me/one:v2"), Catch::Contains(R"("org.opencontainers.image.ref.name":"v2")"));
    for (const std::string without : {"docker.io/me/one", "No Reference"})
        CHECK_THAT(index_for(without), !Catch::Contains("ref.name"));
}
