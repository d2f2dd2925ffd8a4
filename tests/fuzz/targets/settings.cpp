// A plugin's settings, and `set`: daemon/managed/plugin_settings.h. The input: a config, settings, and arguments, a
// line each, with "%%" between them.
#include "daemon/managed/plugin_settings.h"

#include "common/json.h"
#include "daemon/managed/privileges.h"
#include "tests/fuzz/checks.h"

namespace brokerd::fuzz::settings_target {
namespace {

std::string written(const PluginSettings& settings) {
    return json_text([&](JsonWriter& writer) { settings.write_docker_json(writer); });
}

void expect_settings(const PluginSettings& settings) {
    const auto again = PluginSettings::parse(written(settings));
    expect(static_cast<bool>(again), "settings that are kept can be read", again ? "" : again.error().str());
    expect(*again == settings, "settings are read as themselves", written(settings));
}

void try_arguments(const PluginConfig& config, const PluginSettings& settings, const std::vector<std::string>& lines) {
    const auto changed = apply_arguments(config, settings, lines);
    if (!changed) return expect(!changed.error().message.empty(), "a refused argument has a reason");
    expect_settings(*changed);
    // All together are the same as one after the other, and the same again.
    PluginSettings step = settings;
    for (const std::string& line : lines) {
        const auto next = apply_arguments(config, step, {line});
        expect(static_cast<bool>(next), "what is accepted among others is accepted alone", line);
        step = *next;
    }
    expect(step == *changed, "arguments have the same effect one by one");
    const auto twice = apply_arguments(config, *changed, lines);
    expect(twice && *twice == *changed, "what is set stays when it is set again");
    // An upgrade to the same version keeps what the operator has set.
    const MergedSettings merged = merge_for_upgrade(config, *changed, config);
    expect_settings(merged.settings);
    for (const std::string& note : merged.notes) expect(!note.empty(), "a note says something");
}

}  // namespace

void try_input(std::string_view input) {
    const auto parts = parts_of(input, 3);
    const auto settings = PluginSettings::parse(parts[1]);
    if (settings) {
        expect_settings(*settings);
    } else {
        expect_sentence(settings.error().str());
    }
    const auto config = PluginConfig::parse(parts[0]);
    if (!config) return;
    const PluginSettings defaults = PluginSettings::defaults_of(*config);
    expect_settings(defaults);
    const MergedSettings same = merge_for_upgrade(*config, defaults, *config);
    expect(same.settings == defaults && same.notes.empty(), "an upgrade to the same version changes no defaults");
    if (!is_utf8(parts[2])) return;  // they come as texts of JSON
    try_arguments(*config, defaults, lines_of(parts[2]));
    if (!settings) return;
    static_cast<void>(apply_arguments(*config, *settings, lines_of(parts[2])));
    expect_settings(merge_for_upgrade(*config, *settings, *config).settings);
    static_cast<void>(check_granted(*config, *settings, required_privileges(*config), Consent::settable_values));
}

}  // namespace brokerd::fuzz::settings_target
