#include "daemon/images/blob_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "tests/unit/images/image_fixture.h"

using namespace brokerd;
using namespace brokerd::test;

namespace {

using Kind = BlobError::Kind;

unsigned mode_of(const std::string& path) {
    struct stat status {};
    REQUIRE(::lstat(path.c_str(), &status) == 0);
    return status.st_mode & 07777;
}

std::string content(int file) {
    std::string out;
    std::array<char, 4096> buffer{};
    for (ssize_t count = 0; (count = ::read(file, buffer.data(), buffer.size())) > 0;)
        out.append(buffer.data(), static_cast<std::size_t>(count));
    return out;
}

}  // namespace

TEST_CASE_METHOD(StoreFixture, "a blob that is right gets its name", "[images]") {
    const std::string bytes(100'000, 'x');
    const Digest digest = Sha256::of(bytes);
    auto writer = store->begin(digest, bytes.size());
    REQUIRE(writer);
    CHECK(writer->expected_digest() == digest);
    REQUIRE(writer->write(std::string_view{bytes}.substr(0, 60'000)));
    CHECK(writer->written() == 60'000);
    CHECK(temporary_files().size() == 1);
    CHECK_FALSE(store->size(digest));
    REQUIRE(writer->write(std::string_view{bytes}.substr(60'000)));
    REQUIRE(writer->verify());
    CHECK_FALSE(store->size(digest));
    const auto pin = writer->commit();
    REQUIRE(pin);

    CHECK(pin->digest() == digest);
    CHECK(store->size(digest) == bytes.size());
    CHECK(temporary_files().empty());
    CHECK(mode_of(blob_file(digest)) == 0600);
    const auto file = store->open_blob(digest);
    REQUIRE(file);
    CHECK(content(file->get()) == bytes);
    CHECK(*store->read_small(digest, bytes.size()) == bytes);
    CHECK(*store->verify(digest) == bytes.size());
}

TEST_CASE("the store's directories are private", "[images]") {
    const TemporaryDirectory directory;
    const std::string path = directory / "blobs";
    std::filesystem::create_directory(path);
    REQUIRE(::chmod(path.c_str(), 0755) == 0);
    const mode_t before = ::umask(0);
    REQUIRE(BlobStore::open(path + "/"));
    ::umask(before);
    for (const char* name : {"", "/sha256", "/tmp"}) CHECK(mode_of(path + name) == 0700);
}

TEST_CASE("a store that cannot be opened says why", "[images]") {
    const TemporaryDirectory directory;
    const auto message = [](const std::string& path) {
        const auto store = BlobStore::open(path);
        return store ? "opened" : store.error().message;
    };
    CHECK(message(directory / "missing/blobs") ==
          "cannot make the directory " + directory / "missing/blobs" + ": No such file or directory");
    write_file(directory / "file", "");
    CHECK_THAT(message(directory / "file"), Catch::Contains("cannot open the directory"));
    std::filesystem::create_directory_symlink("/tmp", directory / "link");
    CHECK_THAT(message(directory / "link"), Catch::Contains("cannot open the directory"));
}

TEST_CASE_METHOD(StoreFixture, "content of another digest is refused, and its file goes", "[images]") {
    const Digest announced = Sha256::of("what was announced");
    {
        auto writer = store->begin(announced, 4);
        REQUIRE(writer);
        REQUIRE(writer->write("evil"));
        const auto verified = writer->verify();
        REQUIRE_FALSE(verified);
        CHECK(verified.error().kind == Kind::wrong_digest);
        const auto pin = writer->commit();
        REQUIRE_FALSE(pin);
        CHECK(pin.error().kind == Kind::wrong_digest);
        CHECK_THAT(pin.error().message, Catch::Contains("has other content than announced"));
        CHECK_THAT(pin.error().message, Catch::Contains(Sha256::of("evil").str()));
    }
    CHECK(temporary_files().empty());
    CHECK(names_in(path + "/sha256").empty());
}

TEST_CASE_METHOD(StoreFixture, "content of another size is refused", "[images]") {
    const std::string bytes = "12345678";
    auto writer = store->begin(Sha256::of(bytes), bytes.size());
    REQUIRE(writer);
    REQUIRE(writer->write("1234567"));
    const auto too_short = writer->commit();
    REQUIRE_FALSE(too_short);
    CHECK(too_short.error().kind == Kind::too_short);
    CHECK_THAT(too_short.error().message, Catch::EndsWith("ends after 7 bytes; 8 were announced"));

    const auto too_long = writer->write("89");
    REQUIRE_FALSE(too_long);
    CHECK(too_long.error().kind == Kind::too_long);
    CHECK(writer->written() == 7);
    REQUIRE(writer->write("8"));
    CHECK(writer->write(""));
    CHECK_FALSE(writer->write("9"));
    CHECK(writer->commit());
}

TEST_CASE_METHOD(StoreFixture, "a download that begins again drops what it had", "[images]") {
    const std::string bytes(10'000'000, 'y');
    auto writer = store->begin(Sha256::of(bytes), bytes.size());
    REQUIRE(writer);
    REQUIRE(writer->write(std::string(9'000'000, 'n')));
    REQUIRE(writer->restart());
    CHECK(writer->written() == 0);
    REQUIRE(writer->write(bytes));
    REQUIRE(writer->commit());

    auto second = store->begin(Sha256::of("abc"), 3);
    REQUIRE(second);
    REQUIRE(second->write("abd"));
    REQUIRE_FALSE(second->verify());
    REQUIRE(second->restart());
    REQUIRE(second->write("abc"));
    REQUIRE(second->commit());
    CHECK(*store->read_small(Sha256::of("abc"), 3) == "abc");
}

TEST_CASE_METHOD(StoreFixture, "content made here is named by what it is", "[images]") {
    auto writer = store->begin_unknown(10);
    REQUIRE(writer);
    CHECK_FALSE(writer->expected_digest());
    REQUIRE(writer->write("made here"));
    CHECK_FALSE(writer->write("!!"));
    const auto pin = writer->commit();
    REQUIRE(pin);
    CHECK(pin->digest() == Sha256::of("made here"));
    CHECK(put("made here") == pin->digest());
    CHECK(put("") == Sha256::of(""));
    CHECK(store->size(Sha256::of("")) == 0);
}

TEST_CASE_METHOD(StoreFixture, "a writer that moves keeps its file", "[images]") {
    std::optional<BlobWriter> kept;
    {
        auto writer = store->begin_unknown(10);
        REQUIRE(writer);
        REQUIRE(writer->write("abc"));
        kept.emplace(*std::move(writer));
    }
    CHECK(temporary_files().size() == 1);
    CHECK(kept->commit());
    kept.reset();
    CHECK(store->size(Sha256::of("abc")) == 3);
}

TEST_CASE_METHOD(StoreFixture, "writers and pins may outlive the store", "[images]") {
    auto writer = store->begin_unknown(10);
    REQUIRE(writer);
    const BlobPin pin = store->pin(Sha256::of("abc"));
    store.reset();
    REQUIRE(writer->write("abc"));
    REQUIRE(writer->commit());
    store = open();
    CHECK(store->size(Sha256::of("abc")) == 3);
}

TEST_CASE_METHOD(StoreFixture, "a blob that is there is found, one of another size is removed", "[images]") {
    const Digest digest = put("12345");
    auto found = store->find(digest, 5);
    REQUIRE(found);
    REQUIRE(*found);
    CHECK((*found)->digest() == digest);

    write_file(blob_file(digest), "123");
    found = store->find(digest, 5);
    REQUIRE(found);
    CHECK_FALSE(*found);
    CHECK_FALSE(store->size(digest));
    found = store->find(digest, 5);
    REQUIRE(found);
    CHECK_FALSE(*found);
}

TEST_CASE_METHOD(StoreFixture, "a manifest with a wrong size removes no blob of others", "[images]") {
    const Digest digest = put("12345");
    const auto longer = store->find(digest, 6);
    REQUIRE_FALSE(longer);
    CHECK(longer.error().kind == Kind::too_short);
    const auto shorter = store->find(digest, 4);
    REQUIRE_FALSE(shorter);
    CHECK(shorter.error().kind == Kind::too_long);
    CHECK_THAT(shorter.error().message, Catch::EndsWith("has 5 bytes; 4 were announced"));
    CHECK(*store->read_small(digest, 5) == "12345");
}

TEST_CASE_METHOD(StoreFixture, "a blob that is missing is told as such", "[images]") {
    const Digest digest = Sha256::of("nothing");
    CHECK(store->open_blob(digest).error().kind == Kind::missing);
    CHECK(store->read_small(digest, 10).error().kind == Kind::missing);
    CHECK(store->verify(digest).error().kind == Kind::missing);
    CHECK_FALSE(store->size(digest));
    CHECK_THAT(store->open_blob(digest).error().message, Catch::EndsWith("install the plugin again"));
}

TEST_CASE_METHOD(StoreFixture, "a symbolic link is not a blob", "[images]") {
    const Digest digest = Sha256::of("secret");
    write_file(directory / "outside", "secret");
    std::filesystem::create_symlink(directory / "outside", blob_file(digest));
    CHECK_FALSE(store->size(digest));
    CHECK(store->open_blob(digest).error().kind == Kind::storage);
    // Writing the blob replaces the link, not what it leads to.
    auto writer = store->begin(digest, 6);
    REQUIRE(writer);
    REQUIRE(writer->write("secret"));
    REQUIRE(writer->commit());
    CHECK_FALSE(std::filesystem::is_symlink(blob_file(digest)));
}

TEST_CASE_METHOD(StoreFixture, "small blobs are limited and verified again", "[images]") {
    const Digest digest = put("12345");
    CHECK(*store->read_small(digest, 5) == "12345");
    CHECK(store->read_small(digest, 4).error().kind == Kind::too_long);
    write_file(blob_file(digest), "1234x");
    CHECK(store->verify(digest).error().kind == Kind::wrong_digest);
    CHECK(store->size(digest) == 5);
    const auto damaged = store->read_small(digest, 5);
    REQUIRE_FALSE(damaged);
    CHECK(damaged.error().kind == Kind::wrong_digest);
    CHECK_FALSE(store->size(digest));
    CHECK(put("12345") == digest);
    CHECK(*store->read_small(digest, 5) == "12345");
}

TEST_CASE_METHOD(StoreFixture, "what no file system has room for is refused at once", "[images]") {
    const auto writer = store->begin(Sha256::of(""), std::uint64_t{1} << 62);
    REQUIRE_FALSE(writer);
    CHECK(writer.error().kind == Kind::storage);
    CHECK_THAT(writer.error().message, Catch::Contains("4611686018427387904 bytes, where"));
    CHECK_THAT(writer.error().message, Catch::Contains("pluginctl prune"));
    CHECK(temporary_files().empty());
}

TEST_CASE_METHOD(StoreFixture, "opening removes what a crash left", "[images]") {
    const Digest digest = put("12345");
    write_file(path + "/tmp/17", "half a blob");
    write_file(path + "/tmp/stray", "");
    store = open();
    CHECK(temporary_files().empty());
    CHECK(store->size(digest) == 5);
}
