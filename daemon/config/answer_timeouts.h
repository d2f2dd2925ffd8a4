#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"

namespace brokerd {

/// How long plugins may take to the first byte of an answer, as the operator wrote it: the setting "answer-timeout".
struct AnswerTimeouts {
    using Limit = std::chrono::milliseconds;

    struct OfPlugin {
        std::optional<Limit> general;
        std::map<std::string, Limit, std::less<>> methods;  ///< by "Capability.Method"

        friend bool operator==(const OfPlugin&, const OfPlugin&) = default;
    };

    /// The proxy looks at deadlines ten times a second: less cannot be kept.
    static constexpr Limit kShortest{100};
    /// Ours: a day. More is meant as "for ever", which is written 0.
    static constexpr Limit kLongest{std::chrono::hours{24}};

    Limit general{std::chrono::seconds{120}};  ///< DESIGN.md section 7; zero here and below: no deadline
    std::map<std::string, OfPlugin> plugins;

    /// Reads values of the form [PLUGIN[/Capability.Method]=]SECONDS. The last part of a name is a method if it
    /// consists of two words with a capital letter each and a dot between them; so "vieux/sshfs:latest" is a plugin and
    /// "vieux/sshfs/VolumeDriver.Mount" is one of its methods. The error names the value and the remedy.
    [[nodiscard]] static Result<AnswerTimeouts> parse(const std::vector<std::string>& values);

    friend bool operator==(const AnswerTimeouts&, const AnswerTimeouts&) = default;
};

}  // namespace brokerd
