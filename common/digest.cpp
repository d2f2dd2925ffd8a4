#include "common/digest.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/plugin_name.h"

namespace brokerd {
namespace {

bool is_lower_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

}  // namespace

Result<Digest> Digest::parse(std::string_view text) {
    if (text.substr(0, kPrefix.size()) != kPrefix) {
        const std::string_view algorithm = text.substr(0, std::min(text.find(':'), text.size()));
        if (algorithm == "sha512" || algorithm == "sha384") {
            return fail(fmt::format("the digest {} uses {}, which brokerd does not verify; use a sha256 digest",
                                    escaped(text, 80), algorithm));
        }
    } else if (auto digest = from_hex(text.substr(kPrefix.size()))) {
        return digest;
    }
    return fail(fmt::format("\"{}\" is not a digest; write sha256: and 64 digits of 0-9 and a-f", escaped(text, 80)));
}

Result<Digest> Digest::from_hex(std::string_view hex) {
    if (hex.size() != kHexDigits || !std::all_of(hex.begin(), hex.end(), is_lower_hex))
        return fail(fmt::format("\"{}\" is not a digest; write 64 digits of 0-9 and a-f", escaped(hex, 80)));
    return Digest{std::string{kPrefix}.append(hex)};
}

Digest Digest::from_bytes(std::span<const unsigned char, kBytes> bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text{kPrefix};
    text.reserve(kPrefix.size() + kHexDigits);
    for (const unsigned char byte : bytes) {
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return Digest{std::move(text)};
}

}  // namespace brokerd
