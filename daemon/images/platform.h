#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace brokerd {

/// What an image is built for (OCI image-spec, "Image Index", platform): Go's names for systems and processors.
struct Platform {
    std::string os;            ///< "linux"
    std::string architecture;  ///< "amd64", "arm64", "arm"
    std::string variant;       ///< "v7"; empty: the architecture's usual one

    /// The machine that brokerd runs on, from uname(2).
    [[nodiscard]] static Platform of_host();
    /// Linux on the machine that uname(2) calls `machine`. A name that is not known here is taken as it is.
    [[nodiscard]] static Platform from_machine(std::string_view machine);

    /// How well an image for `image` runs on this machine: 0 not at all, higher is better. A machine runs its own
    /// variant and the older ones of 32-bit ARM; of amd64 only the first level.
    [[nodiscard]] int rank(const Platform& image) const;
    /// "linux/arm/v7"
    [[nodiscard]] std::string str() const;

    friend auto operator<=>(const Platform&, const Platform&) = default;
};

}  // namespace brokerd
