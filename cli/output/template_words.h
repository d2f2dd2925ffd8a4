#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace brokerd::cli::template_syntax {

/// A piece of a template: text, or what stands between {{ and }}.
struct Piece {
    bool is_action = false;
    std::string text;  ///< of an action without white space around it
};

/// Cuts a template, with {{- and -}} done and comments left out. \t and \n in text become the characters: docker takes
/// them so, for they are hard to type in a shell.
[[nodiscard]] Result<std::vector<Piece>> pieces_of(std::string_view text);

/// A word of an action.
struct Word {
    enum class Kind { name, chain, string, number, open, close, pipe, declare, assign, comma, end };

    Kind kind = Kind::end;
    std::string text;               ///< of a name, a string, a number; of a chain the variable without its $
    bool is_variable = false;       ///< of a chain: it begins with $
    std::vector<std::string> path;  ///< of a chain, or behind a closing parenthesis: ".A.B" is A, B
};

/// The words, with one of Kind::end behind them.
[[nodiscard]] Result<std::vector<Word>> words_of(std::string_view action);

}  // namespace brokerd::cli::template_syntax
