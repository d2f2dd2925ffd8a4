#pragma once

#include <string>
#include <string_view>

/// Colours on a terminal, the eight that every one has, for what a glance should find: Output::has_colours() says
/// whether they may be used.
namespace brokerd::cli {

enum class Colour { none, red, green, yellow };

/// Printable `text` in a colour, and the terminal's own again behind it.
[[nodiscard]] std::string coloured(std::string_view text, Colour colour);

/// Of a plugin's status, as `ls` shows it: red what does not work, yellow what may soon not, green what does.
[[nodiscard]] Colour colour_of_status(std::string_view status);
/// Of a layer's status: green once it is done with.
[[nodiscard]] Colour colour_of_progress(std::string_view status);

}  // namespace brokerd::cli
