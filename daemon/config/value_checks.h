#pragma once

#include <string>

namespace brokerd {

/// What a setting's value must look like to mean anything: with a value that can never match, brokerd would do
/// something else than the file says, and nobody would hear of it. Each returns what is wrong, one sentence, or
/// nothing.

[[nodiscard]] std::string check_absolute(const std::string& path);
[[nodiscard]] std::string check_not_empty(const std::string& value);
/// A word for yes or no; CLI11 itself would take any digit for one.
[[nodiscard]] std::string check_boolean(const std::string& value);
/// insecure-registry: HOST[:PORT], or ADDRESS/BITS.
[[nodiscard]] std::string check_registry(const std::string& value);
/// registry-mirror: http[s]://HOST[:PORT][/].
[[nodiscard]] std::string check_mirror(const std::string& value);

}  // namespace brokerd
