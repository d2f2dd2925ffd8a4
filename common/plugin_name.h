#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "common/result.h"

namespace brokerd {

/// A plugin's name as engines use it: "sshfs", "vieux/sshfs" or "vieux/sshfs:latest".
/// It becomes a path below the plugin directories, so it is relative, has no empty, "." or ".." part and no part that
/// starts with a dot, and consists of letters, digits and "_.-:@+". parse() is the only way in.
class PluginName {
public:
    /// Docker allows 255 bytes for a file name; a socket path must fit 107 bytes with its directory (unix(7)).
    static constexpr std::size_t kMaxBytes = 255;

    [[nodiscard]] static Result<PluginName> parse(std::string_view text);

    [[nodiscard]] const std::string& str() const noexcept { return text_; }

    friend auto operator<=>(const PluginName&, const PluginName&) = default;

private:
    explicit PluginName(std::string text) : text_{std::move(text)} {}

    std::string text_;
};

/// `text` with every byte that is not printable ASCII, and the backslash, written as \xNN: what came from outside is
/// shown in logs, terminals and JSON only in this form, and without_secrets(). At most `limit` bytes of it are shown.
[[nodiscard]] std::string escaped(std::string_view text, std::size_t limit = 300);

}  // namespace brokerd
