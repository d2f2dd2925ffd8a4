#include "daemon/archive/tar_writer.h"

#include <catch2/catch.hpp>

#include "archive_fixture.h"

namespace brokerd {
namespace {

TEST_CASE("the same files make the same tar, from memory or from descriptors", "[archive]") {
    const std::string content(700'000, 'c');
    const std::string from_memory =
        tar_of(std::pair<std::string, std::string>{"d/", ""}, std::pair<std::string, std::string>{"d/f", content});
    std::string from_file;
    TarWriter writer{[&](std::string_view bytes) -> Result<bool> {
        from_file += bytes;
        return true;
    }};
    const UniqueFd file = file_with(content);
    REQUIRE(writer.add_directory("d"));
    REQUIRE(writer.add_file("d/f", file.get(), content.size()));
    REQUIRE(writer.finish());
    CHECK(from_memory == from_file);
    CHECK(from_file.size() % 512 == 0);
    CHECK(from_file.ends_with(std::string(1024, '\0')));
}

TEST_CASE("a file that is shorter than promised is an error, and stays one", "[archive]") {
    std::string bytes;
    {
        TarWriter writer{[&](std::string_view piece) -> Result<bool> {
            bytes += piece;
            return true;
        }};
        const UniqueFd file = file_with("short");
        const auto added = writer.add_file("f", file.get(), 100);
        REQUIRE_FALSE(added);
        CHECK(added.error().message == "cannot read what is to be \"f\" in the archive: it is shorter than it was");
        CHECK_FALSE(writer.finish());
    }
    CHECK_FALSE(bytes.ends_with(std::string(1024, '\0')));
}

TEST_CASE("the sink's error is the writer's", "[archive]") {
    TarWriter writer{[](std::string_view) -> Result<bool> { return fail("the client has gone"); }};
    const UniqueFd file = file_with(std::string(100'000, 'x'));
    const auto added = writer.add_file("f", file.get(), 100'000);
    REQUIRE_FALSE(added);
    CHECK(added.error().message == "the client has gone");
}

}  // namespace
}  // namespace brokerd
