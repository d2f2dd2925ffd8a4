#pragma once

#include <rapidjson/document.h>

#include <span>
#include <string>
#include <string_view>

namespace brokerd::cli::template_syntax {

/// How a list becomes text: "a,b", as docker writes it in lists of things, or "[a b]", as Go does in `inspect`.
enum class ListStyle { commas, brackets };

/// What the functions make; its values live as long as this.
using Memory = rapidjson::Document::AllocatorType;

/// The functions of docker's formats and those of Go that are used there, in alphabetical order.
[[nodiscard]] std::span<const std::string_view> function_names();
[[nodiscard]] bool is_function(std::string_view name);

/// Calls one. Lenient where Go gives up half-way through the output: a value of another kind counts as its text, and
/// what is not there as nothing. Precondition: is_function(name).
[[nodiscard]] rapidjson::Value call_function(std::string_view name, std::span<const rapidjson::Value* const> arguments,
                                             ListStyle style, Memory& memory);

/// Go's idea of a value that counts as true: not false, zero, empty, or absent.
[[nodiscard]] bool is_true(const rapidjson::Value& value);
/// As {{value}} prints it; not yet printable.
[[nodiscard]] std::string text_of(const rapidjson::Value& value, ListStyle style);

}  // namespace brokerd::cli::template_syntax
