#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "common/result.h"

namespace brokerd {

/// The SHA-256 digest that names a blob: "sha256:" and 64 lower-case hexadecimal digits (OCI image-spec, "Digests").
/// Other algorithms are refused: what brokerd cannot verify it does not take. Always valid; the functions below are the
/// only ways in. Immutable; any thread. Computing one is for daemon/images/sha256.h: pluginctl starts without OpenSSL.
class Digest {
public:
    static constexpr std::size_t kBytes = 32;
    static constexpr std::size_t kHexDigits = 2 * kBytes;

    [[nodiscard]] static Result<Digest> parse(std::string_view text);
    /// From the digits alone, as in the name of a blob's file.
    [[nodiscard]] static Result<Digest> from_hex(std::string_view hex);
    [[nodiscard]] static Digest from_bytes(std::span<const unsigned char, kBytes> bytes);

    /// "sha256:…"
    [[nodiscard]] const std::string& str() const noexcept { return text_; }
    /// The digits alone.
    [[nodiscard]] std::string_view hex() const noexcept { return std::string_view{text_}.substr(kPrefix.size()); }

    friend auto operator<=>(const Digest&, const Digest&) = default;

private:
    static constexpr std::string_view kPrefix = "sha256:";

    explicit Digest(std::string text) noexcept : text_{std::move(text)} {}

    std::string text_;
};

}  // namespace brokerd

template <>
struct std::hash<brokerd::Digest> {
    std::size_t operator()(const brokerd::Digest& digest) const noexcept {
        return std::hash<std::string>{}(digest.str());
    }
};
