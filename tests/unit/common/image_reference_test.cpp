#include "common/image_reference.h"

#include <catch2/catch.hpp>

using namespace brokerd;

namespace {

const std::string kHex(64, 'a');
const std::string kDigest = "sha256:" + kHex;

struct Case {
    std::string written;
    std::string meant;
};

/// What "docker plugin install" of 20.10 asks its daemon for.
const Case kAsDocker[] = {
    {"sshfs", "docker.io/library/sshfs"},
    {"vieux/sshfs", "docker.io/vieux/sshfs"},
    {"vieux/sshfs:latest", "docker.io/vieux/sshfs:latest"},
    {"vieux/sshfs:1.0", "docker.io/vieux/sshfs:1.0"},
    {"docker.io/vieux/sshfs", "docker.io/vieux/sshfs"},
    {"index.docker.io/vieux/sshfs", "docker.io/vieux/sshfs"},
    {"index.docker.io/sshfs", "docker.io/library/sshfs"},
    {"docker.io/sshfs", "docker.io/library/sshfs"},
    {"docker.io/library/sshfs", "docker.io/library/sshfs"},
    {"library/sshfs", "docker.io/library/sshfs"},
    {"localhost/x", "localhost/x"},
    {"localhost:5000/x", "localhost:5000/x"},
    {"localhost:5000", "docker.io/library/localhost:5000"},
    {"host:5000/x/y:tag", "host:5000/x/y:tag"},
    {"HOST.com/x:T", "HOST.com/x:T"},
    {"a.b/c", "a.b/c"},
    {"docker.io/a.b/c", "docker.io/a.b/c"},
    {"docker.io/localhost/x", "docker.io/localhost/x"},
    {"a/b/c/d", "docker.io/a/b/c/d"},
    {"a_b/c", "docker.io/a_b/c"},
    {"a__b/c", "docker.io/a__b/c"},
    {"a-b/c", "docker.io/a-b/c"},
    {"a---b/c", "docker.io/a---b/c"},
    {"a:_x", "docker.io/library/a:_x"},
    {"foo.com:99999999/x", "foo.com:99999999/x"},
    {"xn--n3h.com/x", "xn--n3h.com/x"},
    {"1.2.3.4:80/x", "1.2.3.4:80/x"},
    {"a/b__c", "docker.io/a/b__c"},
    {"a/b.c_d-e", "docker.io/a/b.c_d-e"},
    {"127.0.0.1/x", "127.0.0.1/x"},
    {"localhost", "docker.io/library/localhost"},
    {"docker.io", "docker.io/library/docker.io"},
    {"Docker.io/x", "Docker.io/x"},
    {"docker.io:443/x", "docker.io:443/x"},
    {"index.docker.io:443/x", "index.docker.io:443/x"},
    {"a:5000/b", "a:5000/b"},
    {"docker.io/library/a/b", "docker.io/library/a/b"},
    {"docker.io/library/library/b", "docker.io/library/library/b"},
    {"library/library", "docker.io/library/library"},
};

/// What it refuses.
const std::string kRefusedByDocker[] = {"vieux/Sshfs",
                                        "SSHFS",
                                        "docker.io/VIEUX/x",
                                        "a___b/c",
                                        "a..b/c",
                                        "a._b/c",
                                        "a-/b",
                                        "a/b-",
                                        "a/-b",
                                        "a//b",
                                        "/a",
                                        "a/",
                                        "a:",
                                        "a@",
                                        "a:-x",
                                        "a:.x",
                                        "foo-.com/x",
                                        "foo.com:/x",
                                        "foo.com:80a/x",
                                        "[fd00::1/x",
                                        "[fd00::1%eth0]/x",
                                        "fd00::1/x",
                                        "x@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                        "x@md5:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                        "x@foo:bar",
                                        " a",
                                        "a ",
                                        "a b",
                                        "a\tb",
                                        "a:b:c",
                                        "a/b:c/d",
                                        "https://a/b",
                                        "a.b:c/d",
                                        "a.b./c",
                                        ".a/b",
                                        "a/.b",
                                        "a/b.",
                                        "a/b_",
                                        "_a/b",
                                        "a/b.-c",
                                        "a/b-.c",
                                        "docker.io/",
                                        "a/b:",
                                        "a/b@",
                                        "a/b/../c",
                                        "a/./b",
                                        "a:b/c",
                                        "docker.io/a:5000/b"};

std::string parsed(const std::string& text) {
    const auto reference = ImageReference::parse(text);
    return reference ? reference->str() : "refused: " + reference.error().message;
}

std::string refusal(const std::string& text) {
    const auto reference = ImageReference::parse(text);
    return reference ? "accepted as " + reference->str() : reference.error().message;
}

}  // namespace

TEST_CASE("references mean what they mean to Docker", "[common]") {
    for (const Case& example : kAsDocker) {
        INFO(example.written);
        CHECK(parsed(example.written) == example.meant);
    }
}

TEST_CASE("what Docker refuses as a reference is refused", "[common]") {
    for (const std::string& text : kRefusedByDocker) {
        INFO(text);
        CHECK_FALSE(ImageReference::parse(text));
    }
    CHECK_FALSE(ImageReference::parse("-a/b"));
    CHECK_FALSE(ImageReference::parse("-foo.com/x"));
    CHECK_FALSE(ImageReference::parse("\xc3\xa9/x"));
    CHECK_FALSE(ImageReference::parse("vieux/sshfs:\xc3\xa9"));
    CHECK_FALSE(ImageReference::parse(std::string{"a\0b", 3}));
}

TEST_CASE("a reference has parts", "[common]") {
    const auto reference = ImageReference::parse("localhost:5000/me/plug:v1@" + kDigest);
    REQUIRE(reference);
    CHECK(reference->domain() == "localhost:5000");
    CHECK(reference->path() == "me/plug");
    CHECK(reference->name() == "localhost:5000/me/plug");
    CHECK(reference->tag() == "v1");
    REQUIRE(reference->digest());
    CHECK(reference->digest()->str() == kDigest);
    CHECK(reference->str() == "localhost:5000/me/plug:v1@" + kDigest);
}

TEST_CASE("newer Docker's host names are understood too", "[common]") {
    CHECK(parsed("[::1]/x") == "[::1]/x");
    CHECK(parsed("[fd00:1:2::3]:5000/x:t") == "[fd00:1:2::3]:5000/x:t");
    CHECK(parsed("Host/x") == "Host/x");
    CHECK(ImageReference::parse("[fd00::1]:5000/x")->domain() == "[fd00::1]:5000");
    for (const char* text :
         {"[::1/x", "[]/x", "[::1]:/x", "[::1]x/y", "[::1]:5000x/y", "[::1%eth0]/x", "::1/x", "[1.2.3.4]/x"}) {
        INFO(text);
        CHECK_FALSE(ImageReference::parse(text));
    }
    using namespace std::string_view_literals;
    CHECK_FALSE(ImageReference::parse("[fd00::1\0/../..]/x"sv));
}

TEST_CASE("a host name that is none is not taken for a path", "[common]") {
    CHECK_THAT(refusal("under_score.com/x"), Catch::Contains("\"under_score.com\" is no host name"));
    CHECK_THAT(refusal("do__main.com/x"), Catch::Contains("is no host name"));
}

TEST_CASE("each refusal says what is wrong", "[common]") {
    CHECK_THAT(refusal(""), Catch::Contains("is empty"));
    CHECK_THAT(refusal("SSHFS"), Catch::Contains("must be lower case"));
    CHECK_THAT(refusal("vieux/Sshfs:x"), Catch::Contains("must be lower case"));
    CHECK_THAT(refusal(kHex), Catch::Contains("are an ID; write a name"));
    CHECK_THAT(refusal("a:"), Catch::Contains("a tag has letters"));
    CHECK_THAT(refusal("a:" + std::string(129, 't')), Catch::Contains("at most 128 bytes"));
    CHECK_THAT(refusal("a//b"), Catch::Contains("and / between them"));
    CHECK_THAT(refusal("h.io/" + std::string(251, 'x')), Catch::Contains("longer than 255 bytes"));
    CHECK_THAT(refusal("x@sha256:" + std::string(63, 'a')), Catch::Contains("is not a digest"));
    CHECK_THAT(refusal("x@sha256:" + std::string(64, 'A')), Catch::Contains("is not a digest"));
    CHECK_THAT(refusal("x@md5:" + std::string(32, 'a')), Catch::Contains("is not a digest"));
    CHECK_THAT(refusal("x@sha512:" + std::string(128, 'a')),
               Catch::Contains("uses sha512, which brokerd does not verify"));
    CHECK_THAT(refusal("x@" + kDigest + ":t"), Catch::Contains("is not a digest"));
    CHECK_THAT(refusal("x@@" + kDigest), Catch::Contains("is not a digest"));
    CHECK(refusal(std::string(1'000'000, 'a')).size() < 300);
}

TEST_CASE("limits are reached and not passed", "[common]") {
    CHECK(ImageReference::parse("h.io/" + std::string(250, 'x')));
    CHECK(ImageReference::parse(std::string(237, 'x')));
    CHECK_FALSE(ImageReference::parse(std::string(238, 'x')));
    CHECK(ImageReference::parse("a:" + std::string(128, 't')));
    CHECK(ImageReference::parse(std::string(63, 'a')));
    CHECK(ImageReference::parse(kHex + ":t"));
    CHECK(ImageReference::parse("docker.io/" + kHex));
    CHECK(ImageReference::parse(std::string(64, 'g')));
}

TEST_CASE("the familiar form is short and parses to the same", "[common]") {
    const Case kFamiliar[] = {
        {"docker.io/library/sshfs", "sshfs"},
        {"index.docker.io/vieux/sshfs:1", "vieux/sshfs:1"},
        {"docker.io/library/a/b", "library/a/b"},
        {"docker.io/library/library", "library"},
        {"localhost/x", "localhost/x"},
        {"host:5000/library/x:t", "host:5000/library/x:t"},
        {"x:t@" + kDigest, "x:t@" + kDigest},
        // Docker prints "a.b/c" here, which is another image.
        {"docker.io/a.b/c", "docker.io/a.b/c"},
        {"docker.io/localhost/x", "docker.io/localhost/x"},
        // Alone it would be an ID.
        {"docker.io/library/" + kHex + ":t", "docker.io/library/" + kHex + ":t"},
    };
    for (const Case& example : kFamiliar) {
        INFO(example.written);
        const auto reference = ImageReference::parse(example.written);
        REQUIRE(reference);
        CHECK(reference->familiar() == example.meant);
        CHECK(*ImageReference::parse(reference->familiar()) == *reference);
        CHECK(*ImageReference::parse(reference->str()) == *reference);
    }
    for (const Case& example : kAsDocker) {
        INFO(example.written);
        const auto reference = ImageReference::parse(example.written);
        REQUIRE(reference);
        CHECK(parsed(reference->familiar()) == reference->str());
        CHECK(parsed(reference->str()) == reference->str());
    }
}

TEST_CASE("tags and digests are replaced", "[common]") {
    const ImageReference plain = *ImageReference::parse("vieux/sshfs");
    const ImageReference by_digest = *ImageReference::parse("vieux/sshfs@" + kDigest);
    CHECK(plain.with_default_tag().familiar() == "vieux/sshfs:latest");
    CHECK(plain.with_default_tag().with_default_tag().familiar() == "vieux/sshfs:latest");
    CHECK(by_digest.with_default_tag() == by_digest);
    CHECK(by_digest.with_tag("next")->familiar() == "vieux/sshfs:next");
    CHECK_FALSE(plain.with_tag("no/tag"));
    CHECK_FALSE(plain.with_tag(""));
    CHECK(plain.with_default_tag().with_digest(*Digest::parse(kDigest)) == by_digest);
    CHECK(by_digest.without_tag() == plain);
}
