#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/result.h"

/// What a template says, parsed: the part of Go's text/template that `--format` is used for. Actions are
/// {{PIPELINE}}, {{$name := PIPELINE}}, {{if}}, {{else if}}, {{else}}, {{with}}, {{range}}, {{end}} and comments, with
/// {{- and -}} to leave out white space. Refused, with a sentence: what else Go has.
namespace brokerd::cli::template_syntax {

struct Pipeline;

/// One word of a call: where a value comes from, and which member of it is meant.
struct Operand {
    enum class Kind { dot, variable, literal, group };

    Kind kind = Kind::dot;
    std::string variable;                                                 ///< "" for $, the object itself
    std::variant<std::monostate, bool, std::int64_t, std::string> value;  ///< of a literal; nothing is nil
    std::vector<Pipeline> group;                                          ///< of (PIPELINE): one
    std::vector<std::string> path;                                        ///< of ".A.B": A, B
};

/// "FUNCTION OPERAND…", or an operand alone.
struct Call {
    std::string function;  ///< empty for none; else one of function_names()
    std::vector<Operand> operands;
};

struct Pipeline {
    std::vector<std::string> names;  ///< declared or assigned: "$i, $item := …"
    bool declares = false;           ///< with :=, not =
    std::vector<Call> calls;         ///< each gets the one before as its last operand
};

struct Node {
    enum class Kind { text, print, choice, with, range };

    Kind kind = Kind::text;
    std::string text;
    Pipeline pipeline;
    std::vector<Node> body;
    std::vector<Node> otherwise;  ///< after {{else}}
};

/// `fields` as for Template::parse().
[[nodiscard]] Result<std::vector<Node>> parse(std::string_view text, std::span<const std::string_view> fields);

}  // namespace brokerd::cli::template_syntax
