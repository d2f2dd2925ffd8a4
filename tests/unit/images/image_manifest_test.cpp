#include "daemon/images/image_manifest.h"

#include <catch2/catch.hpp>

#include "tests/unit/images/manifest_texts.h"

using namespace brokerd;
using namespace brokerd::test;

namespace {

std::string refusal(const std::string& bytes, std::string_view content_type = "") {
    const auto manifest = ImageManifest::parse(bytes, content_type);
    return manifest ? "accepted" : manifest.error().message;
}

std::string with_layer(const std::string& layer) {
    ManifestText text;
    text.layers = layer;
    return text.str();
}

std::string with_config(const std::string& config) {
    ManifestText text;
    text.config = config;
    return text.str();
}

}  // namespace

TEST_CASE("a manifest that dockerd made is read", "[images]") {
    const auto manifest = ImageManifest::parse(ManifestText{}.str(), kDockerManifestType);
    REQUIRE(manifest);
    CHECK(manifest->media_type == kDockerManifestType);
    CHECK(manifest->config.media_type == kPluginConfigType);
    CHECK(manifest->config.digest.str() == kSomeDigest);
    CHECK(manifest->config.size == 665);
    CHECK_FALSE(manifest->was_converted());
    REQUIRE(manifest->layers.size() == 1);
    CHECK(manifest->layers[0].digest.str() == kOtherDigest);
    CHECK(manifest->layers[0].size == 1360);
    CHECK(manifest->total_size() == 2025);
}

TEST_CASE("an OCI manifest of a plugin is read", "[images]") {
    ManifestText text;
    text.media_type = kOciManifestType;
    text.layers = descriptor_text("application/vnd.oci.image.layer.v1.tar+zstd", kOtherDigest, "7",
                                  R"(,"annotations":{"a":"b"},"urls":["http://elsewhere/"],"data":"eA==")");
    text.more = R"(,"annotations":{"org.opencontainers.image.created":"today"})";
    const auto manifest = ImageManifest::parse(text.str(), kOciManifestType);
    REQUIRE(manifest);
    CHECK(manifest->layers[0].annotations.at("a") == "b");
    CHECK(manifest->annotations.size() == 1);

    text.media_type.clear();
    CHECK(ImageManifest::parse(text.str(), "")->media_type == kOciManifestType);
    CHECK(ImageManifest::parse(text.str(), "application/vnd.oci.image.manifest.v1+json; charset=utf-8"));
    CHECK(ImageManifest::parse(text.str(), "application/json")->media_type == kOciManifestType);
}

TEST_CASE("a manifest is written as dockerd's plugin create writes it", "[images]") {
    // Taken from a registry to which dockerd 20.10.24 had pushed the plugin.
    const std::string kDockers =
        R"({"schemaVersion":2,"config":{"mediaType":"application/vnd.docker.plugin.v1+json","digest":"sha256:eaff9b653faf4db8eee409d9d140121e40bdd109705e4225f46678678413132c","size":665},"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","digest":"sha256:4b06fbbaa0ea40fd3f87d4534757f98570bd8ed90da5e3afa550aff9a2ae1082","size":1360}],"mediaType":"application/vnd.docker.distribution.manifest.v2+json"})";
    const BlobSize config{*Digest::parse("sha256:eaff9b653faf4db8eee409d9d140121e40bdd109705e4225f46678678413132c"),
                          665};
    const BlobSize layer{*Digest::parse("sha256:4b06fbbaa0ea40fd3f87d4534757f98570bd8ed90da5e3afa550aff9a2ae1082"),
                         1360};
    CHECK(write_plugin_manifest(config, {layer}) == kDockers);
    CHECK(ImageManifest::parse(kDockers, kDockerManifestType));
    CHECK(ImageManifest::parse(write_plugin_manifest(config, {layer, config}), "")->layers.size() == 2);
}

TEST_CASE("what is not a plugin is told apart", "[images]") {
    CHECK_THAT(
        refusal(with_config(descriptor_text("application/vnd.docker.container.image.v1+json", kSomeDigest, "1"))),
        Catch::Equals("it is an image, not a plugin: its config is "
                      "application/vnd.docker.container.image.v1+json"));
    CHECK_THAT(refusal(with_config(descriptor_text("", kSomeDigest, "1"))),
               Catch::Contains("its config is of no type"));
    ManifestText artifact;
    artifact.media_type = kOciManifestType;
    artifact.config = descriptor_text("application/vnd.oci.empty.v1+json", kSomeDigest, "2");
    artifact.more = R"(,"artifactType":"application/vnd.example.sbom")";
    CHECK(refusal(artifact.str()) == "it is not a plugin: it is an artifact of type application/vnd.example.sbom");
    CHECK_THAT(refusal(R"({"schemaVersion":2,"mediaType":"application/vnd.example"})"),
               Catch::Contains("what has its name is of type application/vnd.example"));
    CHECK_THAT(refusal(R"({"schemaVersion":1,"name":"x","fsLayers":[]})"), Catch::Contains("Docker's schema 1"));
    CHECK_THAT(refusal("{}", kDockerSignedSchema1Type), Catch::Contains("Docker's schema 1"));
    CHECK_THAT(refusal(index_text(entry_text(kSomeDigest, "linux", "amd64"))), Catch::Contains("a list of manifests"));
}

TEST_CASE("a plugin that was converted to OCI is known by its config", "[images]") {
    ManifestText text;
    text.media_type = kOciManifestType;
    text.config = descriptor_text(kOciConfigType, kSomeDigest, "153");
    const auto manifest = ImageManifest::parse(text.str(), "");
    REQUIRE(manifest);
    CHECK(manifest->was_converted());
    CHECK(looks_like_plugin_config(R"({"Interface":{"Socket":"s","Types":["docker.volumedriver/1.0"]}})"));
    CHECK(looks_like_plugin_config(R"({"description":"d","interface":{"types":null}})"));
    for (const char* config : {"", "[]", "{}", "{", R"({"interface":[]})", R"({"interface":{}})",
                               R"({"architecture":"amd64","os":"linux","config":{"interface":{"types":[]}}})"}) {
        INFO(config);
        CHECK_FALSE(looks_like_plugin_config(config));
    }
    CHECK_FALSE(looks_like_plugin_config(R"({"interface":{"types":[]}})" + std::string(2 << 20, ' ')));
}

TEST_CASE("what skopeo leaves of a plugin's config is explained", "[images]") {
    // Written by skopeo 1.9 for "copy --format oci" of a plugin.
    const char* const kEmptied =
        R"({"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:4b06fbbaa0ea40fd3f87d4534757f98570bd8ed90da5e3afa550aff9a2ae1082"]}})";
    CHECK_FALSE(looks_like_plugin_config(kEmptied));
    CHECK_THAT(not_a_plugin(kOciConfigType, kEmptied).message, Catch::Contains("skopeo copy --format v2s2"));
    CHECK_THAT(not_a_plugin(kOciConfigType, R"({"architecture":"amd64","os":"linux"})").message,
               Catch::StartsWith("it is an image, not a plugin"));
    CHECK_THAT(not_a_plugin(kOciConfigType, "not JSON").message, Catch::StartsWith("it is an image, not a plugin"));
}

TEST_CASE("layers that cannot be unpacked are refused", "[images]") {
    for (const char* type : {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                             "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"}) {
        CHECK_THAT(refusal(with_layer(descriptor_text(type, kOtherDigest, "1"))),
                   Catch::Contains("its layer 0 is not kept in registries"));
    }
    CHECK_THAT(refusal(with_layer(descriptor_text("application/x-tar", kOtherDigest, "1"))),
               Catch::Contains("no file system layer that brokerd knows (application/x-tar)"));
    CHECK_THAT(refusal(with_layer("")), Catch::Contains("has no layers"));
    CHECK(layer_compression(kDockerLayerType) == LayerCompression::gzip);
    CHECK(layer_compression("application/vnd.oci.image.layer.v1.tar") == LayerCompression::none);
    CHECK(layer_compression("application/vnd.oci.image.layer.v1.tar+zstd") == LayerCompression::zstd);
    CHECK_FALSE(layer_compression(""));
}

TEST_CASE("at most 127 layers, each once in the sum", "[images]") {
    const std::string layer = descriptor_text(kDockerLayerType, kOtherDigest, "10");
    std::string layers = layer;
    for (int i = 1; i < 127; ++i) layers += "," + layer;
    const auto manifest = ImageManifest::parse(with_layer(layers), "");
    REQUIRE(manifest);
    CHECK(manifest->layers.size() == 127);
    CHECK(manifest->total_size() == 675);
    CHECK_THAT(refusal(with_layer(layers + "," + layer)), Catch::Contains("/layers has 128 entries; at most 127"));
}

TEST_CASE("sizes that are none are refused", "[images]") {
    for (const char* size : {"-1", "1.0", "1e3", "\"7\"", "null", "true", "18446744073709551616", "[]"}) {
        INFO(size);
        CHECK_THAT(refusal(with_layer(descriptor_text(kDockerLayerType, kOtherDigest, size))),
                   Catch::Contains("its manifest cannot be read: /layers/0/size"));
    }
    CHECK_THAT(refusal(with_layer(descriptor_text(kDockerLayerType, kOtherDigest, "18446744073709551615"))),
               Catch::Contains("/layers/0/size is 18446744073709551615 bytes; at most 68719476736 are allowed"));
    CHECK(refusal(with_layer(descriptor_text(kDockerLayerType, kOtherDigest, "68719476736"))) == "accepted");
    CHECK_THAT(refusal(with_config(descriptor_text(kPluginConfigType, kOtherDigest, "1048577"))),
               Catch::Contains("/config/size"));
}

TEST_CASE("digests that are none are refused", "[images]") {
    CHECK_THAT(refusal(with_layer(descriptor_text(kDockerLayerType, "sha256:../../etc/passwd", "1"))),
               Catch::Contains("/layers/0/digest: "));
    CHECK_THAT(refusal(with_layer(R"({"mediaType":"x","size":1})")), Catch::Contains("/layers/0/digest is missing"));
    CHECK_THAT(refusal(with_layer(R"({"mediaType":"x","size":1,"digest":7})")),
               Catch::Contains("/layers/0/digest is not a text"));
}

TEST_CASE("members that two readers may take differently are refused", "[images]") {
    CHECK_THAT(refusal(with_layer(descriptor_text(kDockerLayerType, kOtherDigest, "1", R"(,"size":2)"))),
               Catch::Contains("/layers/0/size is there twice"));
    CHECK_THAT(refusal(with_layer(descriptor_text(kDockerLayerType, kOtherDigest, "1", R"(,"Digest":"x")"))),
               Catch::Contains("/layers/0/Digest is there twice"));
    ManifestText text;
    text.more = R"(,"Layers":[])";
    CHECK_THAT(refusal(text.str()), Catch::Contains("/Layers is there twice"));
    text.more = R"(,"manifests":[])";
    CHECK_THAT(refusal(text.str()), Catch::Contains("a manifest and a list of manifests at once"));
    text.more = R"(,"annotations":{"a":"1","a":"2"})";
    CHECK_THAT(refusal(text.str()), Catch::Contains("/annotations/a is there twice"));
    text.more.clear();
    CHECK_THAT(refusal(text.str(), kOciManifestType), Catch::Contains("calls itself"));
    CHECK_THAT(refusal(text.str(), kOciIndexType), Catch::Contains("calls itself"));
    CHECK_THAT(refusal(text.str(), "text/html"), Catch::Contains("comes as text/html"));
}

TEST_CASE("members of a wrong type are refused by their place", "[images]") {
    const auto more = [](const std::string& member) {
        return with_layer(descriptor_text(kDockerLayerType, kOtherDigest, "1", "," + member));
    };
    CHECK_THAT(refusal(more(R"("artifactType":1)")), Catch::Contains("/layers/0/artifactType is not a text"));
    CHECK_THAT(refusal(more(R"("annotations":1)")), Catch::Contains("/layers/0/annotations is not an object"));
    CHECK_THAT(refusal(more(R"("annotations":{"a":1})")), Catch::Contains("/layers/0/annotations/a is not a text"));
    CHECK_THAT(refusal(more(R"("platform":1)")), Catch::Contains("/layers/0/platform"));
    CHECK_THAT(refusal(with_layer(R"({"mediaType":1})")), Catch::Contains("/layers/0/mediaType is not a text"));
    CHECK_THAT(refusal(R"({"mediaType":1,"schemaVersion":2})"), Catch::Contains("/mediaType is not a text"));
    ManifestText text;
    text.more = R"(,"annotations":[])";
    CHECK_THAT(refusal(text.str()), Catch::Contains("/annotations is not an object"));
}

TEST_CASE("types that say nothing of the content do not count, nor do parameters and case", "[images]") {
    const std::string plugin = ManifestText{}.str();
    for (const char* type : {"application/json", "application/octet-stream", "Text/Plain ; charset=utf-8",
                             "application/VND.docker.distribution.manifest.v2+json"}) {
        INFO(type);
        CHECK(refusal(plugin, type) == "accepted");
    }
    CHECK_THAT(refusal("{}", kDockerSchema1Type), Catch::Contains("Docker's schema 1"));
}

TEST_CASE("an artifact is told by its own type, or by that of its config", "[images]") {
    ManifestText artifact;
    artifact.media_type = kOciManifestType;
    artifact.config = descriptor_text("application/vnd.oci.empty.v1+json", kSomeDigest, "2");
    CHECK_THAT(refusal(artifact.str()), Catch::EndsWith("an artifact of type application/vnd.oci.empty.v1+json"));
    artifact.config = descriptor_text("application/vnd.example.config", kSomeDigest, "2");
    artifact.more = R"(,"artifactType":"application/vnd.example.sbom")";
    CHECK_THAT(refusal(artifact.str()), Catch::EndsWith("an artifact of type application/vnd.example.sbom"));
    artifact.config = descriptor_text("application/vnd.docker.container.image.v1+json", kSomeDigest, "2");
    CHECK_THAT(refusal(artifact.str()), Catch::StartsWith("it is an image, not a plugin"));
}

TEST_CASE("what is no manifest is refused", "[images]") {
    const std::string whole = ManifestText{}.str();
    for (std::size_t length = 0; length < whole.size(); ++length) {
        INFO(length);
        REQUIRE_FALSE(ImageManifest::parse(whole.substr(0, length), kDockerManifestType));
    }
    for (const char* text :
         {"null", "[]", "7", "\"\"", "{}", R"({"schemaVersion":2})", R"({"schemaVersion":"2"})",
          R"({"schemaVersion":2,"config":[],"layers":[]})", R"({"schemaVersion":2,"config":{},"layers":{}})"}) {
        INFO(text);
        CHECK_FALSE(ImageManifest::parse(text, kDockerManifestType));
        CHECK_FALSE(ImageManifest::parse(text, ""));
    }
    ManifestText text;
    text.version = "3";
    CHECK_THAT(refusal(text.str()), Catch::Contains("/schemaVersion is not 2"));
    CHECK_THAT(refusal(whole + std::string(4 << 20, ' ')), Catch::Contains("longer than 4194304 bytes"));
    CHECK_THAT(refusal("{\"a\":\"\xff\"}"), Catch::Contains("it is not JSON"));
    CHECK_FALSE(ImageManifest::parse(std::string(1'000'000, '['), ""));
    CHECK(refusal("{\"mediaType\":\"\\u001b[31m" + std::string(5000, 'x') + "\"}").size() < 300);
    CHECK(refusal("{\"mediaType\":\"\\u001b[31m\"}").find('\x1b') == std::string::npos);
}
