#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace brokerd {

/// How long one plugin may take to the first byte of an answer, by method (DESIGN.md section 7). Zero: for ever.
/// Immutable, shared by the routes of all threads; looking up allocates nothing.
class AnswerLimits {
public:
    using Limit = std::chrono::milliseconds;
    using ByMethod = std::map<std::string, Limit, std::less<>>;

    /// DESIGN.md section 7, "No plugin can freeze an engine".
    static constexpr Limit kDefault{std::chrono::seconds{120}};

    explicit AnswerLimits(Limit general = kDefault, ByMethod by_method = {})
        : general_{general}, by_method_{std::move(by_method)} {}

    /// For a request's path, "/VolumeDriver.Mount".
    [[nodiscard]] Limit of(std::string_view path) const {
        if (by_method_.empty()) return general_;
        const auto found = by_method_.find(path.substr(path.starts_with('/') ? 1 : 0));
        return found == by_method_.end() ? general_ : found->second;
    }

    friend bool operator==(const AnswerLimits&, const AnswerLimits&) = default;

private:
    Limit general_;
    ByMethod by_method_;
};

/// The limits of every plugin. Those without limits of their own share one object.
struct AnswerLimitTable {
    using Shared = std::shared_ptr<const AnswerLimits>;

    Shared general = std::make_shared<const AnswerLimits>();
    std::map<std::string, Shared, std::less<>> by_plugin;

    [[nodiscard]] const Shared& of(std::string_view plugin) const {
        const auto found = by_plugin.find(plugin);
        return found == by_plugin.end() ? general : found->second;
    }
};

}  // namespace brokerd
