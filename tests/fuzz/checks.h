#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// What every fuzz target needs: one input to try, rules that must hold for it, and ways to take it apart.
namespace brokerd::fuzz {

/// A rule of the parser. Where it does not hold, it is told on stderr, with what it is `about`, and the process ends as
/// in a crash.
void expect(bool holds, const char* rule, std::string_view about = {});

/// An error as a person is told: not empty, one line of UTF-8 without control characters, and not much longer than what
/// it quotes of the input.
void expect_sentence(std::string_view text);

/// Whether `text` is UTF-8 (RFC 3629) without control characters (C0, DEL and C1).
[[nodiscard]] bool is_printable_line(std::string_view text) noexcept;

/// Whether `text` is UTF-8 at all.
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

/// Whether `json` may be nested so deeply that a rule had better not follow it: RapidJSON's own ways do so by
/// recursion.
[[nodiscard]] bool is_deep(std::string_view json) noexcept;

/// Where a stream is cut into pieces: at places that the input itself decides, so that each run is the same.
class Cuts {
public:
    explicit Cuts(std::string_view input) noexcept;

    /// The length of the next piece: from 1 to `left`, mostly short.
    [[nodiscard]] std::size_t next(std::size_t left) noexcept;
    /// From 0 to `limit` - 1.
    [[nodiscard]] std::size_t below(std::size_t limit) noexcept;

private:
    std::uint64_t state_;
};

/// The parts of an input that is several texts, with a line "%%" between two of them; exactly `count`, the last ones
/// empty where it has fewer, and the last with all that is left.
[[nodiscard]] std::vector<std::string> parts_of(std::string_view input, std::size_t count);

/// Its lines, without their ends.
[[nodiscard]] std::vector<std::string> lines_of(std::string_view text);

}  // namespace brokerd::fuzz
