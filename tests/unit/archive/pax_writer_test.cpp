#include "daemon/archive/pax_writer.h"

#include <archive_entry.h>
#include <malloc.h>

#include <catch2/catch.hpp>
#include <string>

namespace brokerd {
namespace {

/// A file's header, and the first bytes of what it says to hold.
void begin_file(const PaxWriter& writer, la_int64_t size) {
    archive_entry* const entry = archive_entry_new();
    archive_entry_copy_pathname(entry, "f");
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, size);
    REQUIRE(archive_write_header(writer.get(), entry) == ARCHIVE_OK);
    archive_entry_free(entry);
    REQUIRE(archive_write_data(writer.get(), "beginning", 9) == 9);
}

TEST_CASE("an archive that is given up leaves no memory behind", "[archive]") {
    const auto held = [] { return mallinfo2().uordblks; };
    const auto give_up = [] {
        const PaxWriter writer{[](std::string_view) {}};
        begin_file(writer, 9);
    };
    give_up();  // what is allocated once, is
    const std::size_t before = held();
    for (int i = 0; i < 100; ++i) give_up();
    CHECK(held() < before + (std::size_t{32} << 10));  // less than a block of one of them
}

TEST_CASE("nothing is added to an archive that is given up, however much it lacks", "[archive]") {
    std::string bytes;
    {
        const PaxWriter writer{[&](std::string_view piece) { bytes += piece; }};
        begin_file(writer, la_int64_t{1} << 50);
    }
    CHECK(bytes.empty());  // all of it was less than a block
}

TEST_CASE("an archive has its end once it is closed", "[archive]") {
    std::string bytes;
    PaxWriter writer{[&](std::string_view piece) { bytes += piece; }};
    begin_file(writer, 9);
    CHECK(writer.close() == ARCHIVE_OK);
    CHECK(bytes.size() == 4 * 512);
    CHECK(bytes.ends_with(std::string(1024, '\0')));
}

}  // namespace
}  // namespace brokerd
