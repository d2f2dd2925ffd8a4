#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace brokerd {

/// brokerd.conf, as CLI11 is to read it, and on which line each setting stands. CLI11's own reader passes over what it
/// does not know and over a repetition that does not follow at once: a setting with a typing mistake would silently not
/// hold. Thread: one.
class SettingsFile final : public CLI::ConfigBase {
public:
    /// Of one line, or of a list over several.
    struct Place {
        std::string setting;
        unsigned line = 0;
        std::vector<std::string> values;
    };

    explicit SettingsFile(const CLI::App& app) : app_{app} {}

    /// Throws CLI::ConfigError with file and line.
    [[nodiscard]] std::vector<CLI::ConfigItem> from_config(std::istream& input) const override;

    /// What the newest from_config() has read, in order.
    [[nodiscard]] const std::vector<Place>& places() const noexcept { return places_; }
    /// "FILE:LINE: ", for messages.
    [[nodiscard]] std::string at(unsigned line) const;
    /// The same for a complaint of CLI11's about a value: where the setting that it names stands. Empty text if the
    /// file has none that `counts`, which those do not that the command line gives.
    [[nodiscard]] std::string place_of(const std::string& complaint,
                                       const std::function<bool(const std::string& setting)>& counts) const;

private:
    void add(std::string text, unsigned line, std::vector<CLI::ConfigItem>& merged) const;
    void check(const CLI::ConfigItem& item, unsigned line) const;

    const CLI::App& app_;
    mutable std::vector<Place> places_;  ///< from_config() is const to CLI11
};

}  // namespace brokerd
