// The content of a .spec file: daemon/discovery/definition_text.h.
#include "daemon/discovery/address_advice.h"
#include "tests/fuzz/checks.h"
#include "tests/fuzz/definition_rules.h"

namespace brokerd::fuzz::spec_file_target {

void try_input(std::string_view input) {
    const PluginDefinition definition = parse_spec_text("vieux/sshfs", kFile, input);
    expect_definition(definition, input);
    expect(definition.problem == PluginDefinition::Problem::none ||
               !definition.remedy.starts_with("write one line: ") || Endpoint::parse(definition.remedy.substr(16)),
           "an address that is proposed is one that is accepted", definition.remedy);
    const std::string guess = likely_address(input);
    expect(guess.empty() || Endpoint::parse(guess), "a guessed address is one that is accepted", guess);

    // White space around it means nothing; a byte order mark is only that in front.
    if (input.starts_with("\xef")) return;
    const PluginDefinition padded = parse_spec_text("vieux/sshfs", kFile, "\n \t" + std::string{input} + "\r\n ");
    expect(padded.endpoint == definition.endpoint && padded.problem == definition.problem &&
               padded.warnings.size() == definition.warnings.size(),
           "white space around the URL changes nothing");
}

}  // namespace brokerd::fuzz::spec_file_target
