#include "common/surrogates.h"

#include <rapidjson/error/en.h>

namespace brokerd {
namespace {

constexpr std::size_t kEscape = 6;  ///< \uXXXX

/// Whether `text` begins with the escape \uDXXX whose second digit is one of `digits`.
bool is_half(std::string_view text, std::string_view digits) {
    return text.size() >= kEscape && text[1] == 'u' && (text[2] == 'd' || text[2] == 'D') &&
           digits.find(text[3]) != std::string_view::npos;
}

}  // namespace

std::optional<JsonError> lone_surrogate(std::string_view json) {
    // Only strings have backslashes, and each begins an escape.
    for (std::size_t at = json.find('\\'); at != std::string_view::npos; at = json.find('\\', at)) {
        const std::string_view rest = json.substr(at);
        if (is_half(rest, "cdefCDEF"))
            return locate(json, at, rapidjson::GetParseError_En(rapidjson::kParseErrorStringUnicodeSurrogateInvalid));
        at += is_half(rest, "89abAB") ? 2 * kEscape : 2;  // what follows a first half has been checked
    }
    return std::nullopt;
}

}  // namespace brokerd
