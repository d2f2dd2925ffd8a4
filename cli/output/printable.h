#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace brokerd::cli {

/// `text` without anything that a terminal would obey: control characters (C0, DEL, C1), the marks that turn the
/// direction of writing or break lines, and bytes that are not UTF-8 are written as \xNN. All other text stays as it
/// is.
[[nodiscard]] std::string printable(std::string_view text);
/// The same for text of several lines: line feeds and tabs stay too.
[[nodiscard]] std::string printable_lines(std::string_view text);
/// The same for a JSON text, in which such characters are written as \uNNNN: its meaning does not change.
[[nodiscard]] std::string printable_json(std::string_view json);

/// JSON with an indentation of four blanks, made printable. Numbers stay as they are written. Empty where `json` is not
/// JSON or is nested so deeply that indenting it would help nobody.
[[nodiscard]] std::string indented_json(std::string_view json);

/// How many places printable `text` takes in a table, taking a character for a place.
[[nodiscard]] std::size_t width(std::string_view text);
/// Printable `text`, cut to `places` with an ellipsis at the end where it is longer.
[[nodiscard]] std::string shortened(std::string_view text, std::size_t places);

}  // namespace brokerd::cli
