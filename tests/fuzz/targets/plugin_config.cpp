// A plugin's config.json, and what it asks for: daemon/managed/plugin_config.h, privileges.h.
#include "daemon/managed/plugin_config.h"

#include "common/json.h"
#include "daemon/managed/plugin_settings.h"
#include "daemon/managed/privileges.h"
#include "tests/fuzz/checks.h"

namespace brokerd::fuzz::plugin_config_target {
namespace {

void expect_privileges(const Privileges& privileges) {
    expect(equal(privileges, privileges), "privileges are equal to themselves");
    const auto again = parse_privileges(json_text([&](JsonWriter& writer) { write_privileges(writer, privileges); }));
    expect(again && *again == privileges, "privileges are read as themselves");
    expect(added(privileges, privileges).empty(), "nothing is added to the same");
    expect(consents_to_upgrade(privileges, {}, privileges), "who sends all of it consents");
}

void expect_granted(const PluginConfig& config, const Privileges& required) {
    const auto grant = check_granted(config, PluginSettings::defaults_of(config), required, Consent::as_granted);
    expect(static_cast<bool>(grant), "what a config asks for is enough for its own settings",
           grant ? "" : grant.error().message);
    expect(grant->added.empty() && grant->dropped.empty() && equal(grant->granted, required),
           "nothing is granted but what is asked for");
    if (required.empty()) return;
    const Privileges all_but_one{required.begin() + 1, required.end()};
    expect(!check_granted(config, PluginSettings::defaults_of(config), all_but_one, Consent::as_granted),
           "what is not granted is refused, from the first element on");
}

}  // namespace

void try_input(std::string_view input) {
    const auto config = PluginConfig::parse(input);
    if (!config) {
        expect_sentence(config.error().str());
        const std::string& pointer = config.error().pointer;
        return expect(pointer.empty() || pointer.starts_with('/'), "a fault has a JSON pointer", pointer);
    }
    expect(!config->entrypoint.empty(), "a config has an entrypoint");
    const std::string blob = config->to_blob();
    const auto again = PluginConfig::parse(blob);
    expect(again && *again == *config, "a config that is written is read as itself", blob);
    expect(again->to_blob() == blob, "a config is always written alike", blob);
    expect(static_cast<bool>(parse_json(json_text([&](JsonWriter& writer) { config->write_docker_json(writer); }))),
           "what the API prints is JSON");
    const Privileges required = required_privileges(*config);
    expect_privileges(required);
    expect_privileges(undisclosed_access(*config));
    expect_granted(*config, required);
    expect(describe(required).empty() == required.empty(), "privileges can be told");
}

}  // namespace brokerd::fuzz::plugin_config_target
