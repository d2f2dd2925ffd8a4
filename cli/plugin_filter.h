#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/plugin_view.h"
#include "common/result.h"

namespace brokerd::cli {

/// One `--filter KEY=VALUE`.
struct FilterTerm {
    std::string key;
    std::string value;
};

/// Splits `terms`; the error names the keys that exist.
[[nodiscard]] Result<std::vector<FilterTerm>> parse_filters(std::span<const std::string> terms,
                                                            std::span<const std::string_view> keys);

/// Which plugins `ls` shows: as with docker, terms of one key are alternatives, and each key must be satisfied.
/// capability ignores case, name is a part of the name. It is applied here and not by the daemon, whose query takes one
/// value a key.
class PluginFilter {
public:
    [[nodiscard]] static Result<PluginFilter> parse(std::span<const std::string> terms);

    /// What a shell may complete a term with, with blanks between.
    [[nodiscard]] static std::string words();

    [[nodiscard]] bool matches(const PluginView& plugin) const;

private:
    std::vector<FilterTerm> terms_;
};

}  // namespace brokerd::cli
