#include "cli/process/last_words.h"

#include <unistd.h>

#include <catch2/catch.hpp>

namespace brokerd::cli {
namespace {

void write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = ::write(fd, text.data(), text.size());
        REQUIRE(count > 0);
        text.remove_prefix(static_cast<std::size_t>(count));
    }
}

TEST_CASE("of what a program says the end is kept", "[cli]") {
    LastWords words;
    write_all(words.fd(), std::string(std::size_t{1} << 20, 'x') + "the end");
    words.close_writing();
    const std::string& text = words.take();
    CHECK(text.size() == 4096);
    CHECK(text.substr(text.size() - 8) == "xthe end");
}

TEST_CASE("a program that still could say something is not waited for", "[cli]") {
    LastWords words;
    const UniqueFd another{::dup(words.fd())};
    write_all(words.fd(), "all\n");
    words.close_writing();
    CHECK(words.take() == "all\n");
    CHECK(words.take() == "all\n");
    const LastWords unasked;
}

}  // namespace
}  // namespace brokerd::cli
