#pragma once

#include <array>
#include <string_view>

namespace brokerd {

/// What kind of thing a line of the log tells: the journal's field MESSAGE_ID (systemd.journal-fields(7)), 32
/// hexadecimal digits made with "journalctl --new-id128". systemd/brokerd.catalog says to operators what each means and
/// what to do; a test compares the two. An ID is never given a new meaning: programs watch for it.
struct MessageId {
    std::string_view hex;
};

namespace message {

// brokerd itself
inline constexpr MessageId kReady{"f49b623eef794052b5bc6c7c561d5869"};
inline constexpr MessageId kStopped{"a447e6f9de184975b570c496f0062df0"};
inline constexpr MessageId kReloaded{"f48a777cd74943399a833c5b5c2d153b"};
inline constexpr MessageId kConfigRefused{"616424ae3ba540f0b6859a9637524fe1"};
inline constexpr MessageId kNeedsRestart{"343022ed47884d419d5a015adfd2322f"};
inline constexpr MessageId kCannotRun{"5116249afa6f4c59bd5ac4978dfd5134"};
inline constexpr MessageId kLogLost{"b2eb31d3053745e7811e960c860d9d21"};
inline constexpr MessageId kLimitReached{"3240749605de4ee9a2b885e3e066c6d4"};

// what is kept of managed plugins, and what runs them
inline constexpr MessageId kStateUnavailable{"4b1f9a175088436f8ee7bcde74d28325"};
inline constexpr MessageId kStateRepaired{"0c6c6e85ff4b4418aec29fa04dad2644"};
inline constexpr MessageId kCannotRunPlugins{"df3a096e068445259cb591654f30d3ae"};

// any plugin
inline constexpr MessageId kPluginActive{"a2658044b50e488cb1431b38ec882ece"};
inline constexpr MessageId kPluginDown{"4a710e5090c14740b68cca337460fc9d"};
inline constexpr MessageId kPluginFailed{"8a7eaae7031f4561a500f1ac50a4fc45"};
inline constexpr MessageId kPluginInvalid{"062a89e8a91548ffac84a3d21e012199"};
inline constexpr MessageId kPluginChanged{"4142cef500ba485cb2e8bc7302682af8"};
inline constexpr MessageId kPluginGone{"bff121afc8134d7cb3be06dfb8c9f56c"};
inline constexpr MessageId kPluginNotPublished{"a50075ca638d4730a1f2d98d5b758565"};
inline constexpr MessageId kPluginNameTaken{"0eab09681e664c0b90aeb14d92349d1f"};
inline constexpr MessageId kFailuresSummed{"dcc16e868bd64b0aafd767af63202125"};

// a managed plugin
inline constexpr MessageId kPluginInstalled{"1407c5d76e1e4216b7ca196f9b7291ec"};
inline constexpr MessageId kPluginUpgraded{"6e632ce6a5a644d3931da3ed8871383f"};
inline constexpr MessageId kPluginSet{"803172da8d784613ba1ac6e80cc5c3a2"};
inline constexpr MessageId kPluginEnabled{"8367b98685c04449b4336921bb79d437"};
inline constexpr MessageId kPluginDisabled{"9e18bb787acf4de9a1022ba951752d37"};
inline constexpr MessageId kPluginRemoved{"227a4166b74a4381a05106ea7153372e"};
inline constexpr MessageId kPluginRunning{"efbd2edf3c5243569bd3b1197d18694b"};
inline constexpr MessageId kPluginStopped{"5022751263274bd78c3d78a48fee6671"};
inline constexpr MessageId kPluginRestarting{"e114ac4ee2bb40f396d58edeced57129"};
inline constexpr MessageId kPluginUnhealthy{"8a0c21a2e40a4763be44ac6dc8bfd87d"};

inline constexpr std::array kAll{
    kReady,           kStopped,        kReloaded,         kConfigRefused,  kNeedsRestart,     kCannotRun,
    kLogLost,         kLimitReached,   kStateUnavailable, kStateRepaired,  kCannotRunPlugins, kPluginActive,
    kPluginDown,      kPluginFailed,   kPluginInvalid,    kPluginChanged,  kPluginGone,       kPluginNotPublished,
    kPluginNameTaken, kFailuresSummed, kPluginInstalled,  kPluginUpgraded, kPluginSet,        kPluginEnabled,
    kPluginDisabled,  kPluginRemoved,  kPluginRunning,    kPluginStopped,  kPluginRestarting, kPluginUnhealthy,
};

}  // namespace message
}  // namespace brokerd
