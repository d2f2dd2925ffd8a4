#pragma once

#include <rapidjson/document.h>

#include <span>
#include <string>
#include <string_view>

namespace brokerd::cli::template_syntax {

/// How a list becomes text: "a,b", as docker writes it in lists of things, or "[a b]", as Go does in `inspect`.
enum class ListStyle { commas, brackets };

/// What a function makes; it lives as long as this.
using Memory = rapidjson::Document::AllocatorType;

/// What a function is called with. What is the template's `own` is printed as it is: a literal in it, or text that a
/// function has made of such and of what was made printable. All else comes from the object, whose author nobody knows.
struct Argument {
    const rapidjson::Value* value;
    bool own;
};

struct Outcome {
    rapidjson::Value value;
    bool own;  ///< text of the object that is in it is printable
};

/// The functions of docker's formats and those of Go that are used there, in alphabetical order.
[[nodiscard]] std::span<const std::string_view> function_names();
[[nodiscard]] bool is_function(std::string_view name);

/// Calls one. Lenient where Go gives up half-way through the output: a value of another kind counts as its text, and
/// what is not there as nothing. Precondition: is_function(name).
[[nodiscard]] Outcome call_function(std::string_view name, std::span<const Argument> arguments, ListStyle style,
                                    Memory& memory);

/// Go's idea of a value that counts as true: not false, zero, empty, or absent.
[[nodiscard]] bool is_true(const rapidjson::Value& value);
/// As {{value}} prints it; not yet printable.
[[nodiscard]] std::string text_of(const rapidjson::Value& value, ListStyle style);
/// The same, printable where it is not the template's own.
[[nodiscard]] std::string shown(const Argument& argument, ListStyle style);

}  // namespace brokerd::cli::template_syntax
