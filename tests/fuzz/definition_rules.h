#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

#include "daemon/discovery/definition_text.h"
#include "tests/fuzz/checks.h"

/// What plugin_definition.h promises of every definition, whatever the file says.
namespace brokerd::fuzz {

inline constexpr const char* kFile = "/etc/docker/plugins/sshfs.spec";

/// "FILE:LINE:COLUMN: …", and that place is in `text` or just behind it.
inline void expect_place(std::string_view message, std::string_view text) {
    const std::string_view whole = message;
    const std::string prefix = std::string{kFile} + ':';
    expect(message.starts_with(prefix), "a complaint begins with its file", whole);
    message.remove_prefix(prefix.size());
    std::size_t line = 0;
    std::size_t column = 0;
    for (std::size_t* const number : {&line, &column}) {
        const auto [end, error] = std::from_chars(message.data(), message.data() + message.size(), *number);
        expect(error == std::errc{} && *number > 0, "a complaint has line and column", whole);
        message.remove_prefix(static_cast<std::size_t>(end - message.data()));
        expect(message.starts_with(':'), "a complaint has line and column", whole);
        message.remove_prefix(1);
    }
    const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
    expect(line <= lines && column <= text.size() + 1, "a complaint's place is in the file", whole);
}

inline void expect_definition(const PluginDefinition& definition, std::string_view text) {
    const bool good = definition.problem == PluginDefinition::Problem::none;
    expect(good == definition.endpoint.has_value(), "there is an endpoint exactly where there is no problem");
    expect(good == definition.reason.empty() && good == definition.remedy.empty(), "a problem has reason and remedy");
    if (!good) {
        expect_sentence(definition.reason);
        expect_sentence(definition.remedy);
        expect_place(definition.reason, text);
    }
    for (const std::string& warning : definition.warnings) {
        expect_sentence(warning);
        expect_place(warning, text);
    }
    if (!good) return;
    // The canonical form says the same. Where it listens is the URL's, the TLS settings are the file's.
    const std::string url = definition.endpoint->str();
    const auto again = Endpoint::parse(url);
    expect(again && again->str() == url, "an endpoint's canonical form is read as itself", url);
}

}  // namespace brokerd::fuzz
