#include <catch2/catch.hpp>

#include "daemon/images/image_manifest.h"
#include "tests/unit/images/manifest_texts.h"

using namespace brokerd;
using namespace brokerd::test;

namespace {

const Platform kAmd64{"linux", "amd64", ""};
const Platform kArmV7{"linux", "arm", "v7"};

std::string digest_of(char digit) {
    return "sha256:" + std::string(64, digit);
}

ImageIndex parsed(const std::string& entries) {
    const auto index = ImageIndex::parse(index_text(entries), "");
    if (!index) throw std::runtime_error{index.error().message};
    return *index;
}

std::string chosen(const ImageIndex& index, const Platform& host) {
    const auto entry = index.choose_platform(host);
    return entry ? std::string{entry->digest.hex().substr(0, 1)} : entry.error().message;
}

std::string refusal(const std::string& bytes, std::string_view content_type = "") {
    const auto index = ImageIndex::parse(bytes, content_type);
    return index ? "accepted" : index.error().message;
}

}  // namespace

TEST_CASE("an index gives this platform's manifest", "[images]") {
    const ImageIndex index = parsed(
        entry_text(digest_of('1'), "windows", "amd64") + "," + entry_text(digest_of('2'), "linux", "arm", "v6") + "," +
        entry_text(digest_of('3'), "linux", "arm", "v7") + "," + entry_text(digest_of('4'), "linux", "amd64"));
    CHECK(chosen(index, kAmd64) == "4");
    CHECK(chosen(index, kArmV7) == "3");
    CHECK(chosen(index, {"linux", "arm", "v6"}) == "2");
    CHECK(chosen(index, {"linux", "s390x", ""}) ==
          "it has no image for linux/s390x; there is linux/amd64, linux/arm/v6, linux/arm/v7, windows/amd64");
}

TEST_CASE("a single entry without a platform is taken", "[images]") {
    const std::string plain = descriptor_text(kOciManifestType, digest_of('5'), "10");
    CHECK(chosen(parsed(plain), kAmd64) == "5");
    CHECK_THAT(chosen(parsed(plain + "," + descriptor_text(kOciManifestType, digest_of('6'), "10")), kAmd64),
               Catch::EndsWith("there is one that names no platform"));
    CHECK(chosen(parsed(plain + "," + entry_text(digest_of('6'), "linux", "amd64")), kAmd64) == "6");
    CHECK_FALSE(
        parsed(descriptor_text(kOciManifestType, digest_of('5'), "10", R"(,"platform":{})")).manifests[0].platform);
}

TEST_CASE("a single entry for another platform is not taken", "[images]") {
    CHECK_THAT(chosen(parsed(entry_text(digest_of('5'), "windows", "amd64")), kAmd64),
               Catch::EndsWith("there is windows/amd64"));
}

TEST_CASE("a platform may name its architecture alone", "[images]") {
    const ImageIndex index = parsed(
        descriptor_text(kOciManifestType, digest_of('5'), "10", R"(,"platform":{"os":"","architecture":"amd64"})"));
    REQUIRE(index.manifests.at(0).platform);
    CHECK(index.manifests[0].platform->architecture == "amd64");
    CHECK_THAT(refusal(R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":null})"),
               Catch::Contains("names no image"));
    CHECK_THAT(refusal(R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],)"
                       R"("annotations":7})"),
               Catch::Contains("/annotations is not an object"));
}

TEST_CASE("what hangs on an image is no image", "[images]") {
    const std::string image = entry_text(digest_of('1'), "linux", "amd64");
    const std::string attestation = entry_text(digest_of('2'), "unknown", "unknown");
    const std::string marked =
        descriptor_text(kOciManifestType, digest_of('3'), "10",
                        R"(,"annotations":{"vnd.docker.reference.type":"attestation-manifest"})");
    const std::string strange = descriptor_text("application/vnd.example", digest_of('4'), "10");
    CHECK(parsed(image + "," + attestation + "," + marked + "," + strange).manifests.size() == 1);
    CHECK(refusal(index_text(attestation + "," + marked)) == "its list of manifests names no image");
    CHECK(refusal(index_text("")) == "its list of manifests names no image");
}

TEST_CASE("an index is told from a manifest", "[images]") {
    const std::string index = index_text(entry_text(digest_of('1'), "linux", "amd64"));
    CHECK(is_index(index, ""));
    CHECK(is_index(index, kDockerManifestListType));
    CHECK(is_index(index, kOciIndexType));
    CHECK_FALSE(is_index(ManifestText{}.str(), ""));
    CHECK_FALSE(is_index(ManifestText{}.str(), kDockerManifestType));
    CHECK_FALSE(is_index("", ""));
    CHECK_FALSE(is_index("garbage", kOciIndexType));
    CHECK(refusal(ManifestText{}.str()) == "it is no list of manifests");
}

TEST_CASE("a bad index is refused", "[images]") {
    const std::string entry = entry_text(digest_of('1'), "linux", "amd64");
    CHECK_THAT(refusal(index_text(entry, R"(,"layers":[])")), Catch::Contains("at once"));
    CHECK_THAT(refusal(index_text(entry, R"(,"Manifests":[])")), Catch::Contains("/Manifests is there twice"));
    CHECK_THAT(refusal(R"({"schemaVersion":2,"manifests":{}})"), Catch::Contains("/manifests is not a list"));
    CHECK_THAT(refusal(R"({"schemaVersion":2,"manifests":[7]})"), Catch::Contains("/manifests/0 is not an object"));
    CHECK_THAT(refusal(index_text(descriptor_text(kOciManifestType, digest_of('1'), "10", R"(,"platform":7)"))),
               Catch::Contains("/manifests/0/platform is not an object"));
    CHECK_THAT(refusal(index_text(descriptor_text(kOciManifestType, digest_of('1'), "10", R"(,"platform":{"os":7})"))),
               Catch::Contains("/manifests/0/platform/os is not a text"));
    CHECK_THAT(refusal(index_text(descriptor_text(kOciManifestType, digest_of('1'), "4194305"))),
               Catch::Contains("/manifests/0/size is 4194305 bytes"));
    std::string many = entry;
    for (int i = 0; i < 1024; ++i) many += "," + entry;
    CHECK_THAT(refusal(index_text(many)), Catch::Contains("/manifests has 1025 entries; at most 1024"));
}

TEST_CASE("the list of what there is stays short", "[images]") {
    std::string entries;
    for (int i = 0; i < 500; ++i)
        entries += (i ? "," : "") + entry_text(digest_of('1'), "linux", "machine" + std::to_string(i));
    CHECK(chosen(parsed(entries), kAmd64).size() < 500);
}
