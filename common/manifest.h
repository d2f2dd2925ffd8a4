#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace brokerd {

/// Ours (DESIGN.md section 6): a manifest is a few dozen bytes; whoever answers more is not a plugin.
inline constexpr std::size_t kMaxManifestBytes = std::size_t{1} << 20;

/// What a plugin implements: its answer to POST /Plugin.Activate (Docker Plugin API, "Handshake API").
class Manifest {
public:
    /// Reads `{"Implements": ["VolumeDriver", …]}`. At least one capability must be one that Docker knows; names that
    /// it does not know are kept beside it. The error says what is wrong with the answer.
    [[nodiscard]] static Result<Manifest> parse(std::string_view body);

    [[nodiscard]] bool implements(std::string_view capability) const;
    /// In the plugin's own order, without repetitions.
    [[nodiscard]] const std::vector<std::string>& capabilities() const noexcept { return capabilities_; }
    /// The manifest as JSON, to answer /Plugin.Activate with.
    [[nodiscard]] std::string to_json() const;

    friend bool operator==(const Manifest&, const Manifest&) = default;

private:
    std::vector<std::string> capabilities_;
};

}  // namespace brokerd
