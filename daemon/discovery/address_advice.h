#pragma once

#include <string>
#include <string_view>

namespace brokerd {

/// What the author of an address that Endpoint::parse refuses most likely meant; empty where nothing suggests itself.
/// What it returns is always an address that Endpoint::parse accepts.
[[nodiscard]] std::string likely_address(std::string_view text);

/// The remedy for such an address, as a sentence: "write https://192.168.1.1:8080".
[[nodiscard]] std::string address_remedy(std::string_view text);

}  // namespace brokerd
