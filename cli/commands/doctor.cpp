#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <array>
#include <memory>

#include "cli/command_table.h"
#include "cli/output/format.h"
#include "cli/output/printable.h"
#include "cli/session.h"

namespace brokerd::cli {
namespace {

constexpr std::array<std::string_view, 6> kFields{"Plugin", "Severity", "Problem", "File", "Cause", "Remedy"};

std::string finding_text(const Finding& finding) {
    std::string text = fmt::format("{}: ", printable(finding.severity));
    if (!finding.plugin.empty()) text += fmt::format("{}: ", printable(finding.plugin));
    text += fmt::format("{}\n", printable(finding.problem));
    if (!finding.cause.empty()) text += fmt::format("  {}\n", printable(finding.cause));
    if (!finding.file.empty()) text += fmt::format("  file: {}\n", printable(finding.file));
    if (!finding.remedy.empty()) text += fmt::format("  → {}\n", printable(finding.remedy));
    return text;
}

ExitStatus show_health(Session& session) {
    const auto plugins = session.client().plugins();
    if (!plugins) return session.failure(plugins.error());
    session.out.write(
        fmt::format("No problems found ({} plugin{})\n", plugins->size(), plugins->size() == 1 ? "" : "s"));
    return ExitStatus::success;
}

void show(const std::vector<Finding>& findings, const Format& format, Output& out) {
    if (!format.is_default()) {
        std::vector<rapidjson::Document> objects;
        for (const Finding& finding : findings) objects.push_back(to_document(finding));
        return out.write(format.lines(objects));
    }
    for (const Finding& finding : findings) {
        if (&finding != &findings.front()) out.write("\n");
        out.write(finding_text(finding));
    }
}

ExitStatus run(const std::string& format_text, Session& session) {
    const auto format = Format::parse(format_text, kFields);
    if (!format) return session.usage_error(format.error().message);
    const auto findings = session.client().doctor();
    if (!findings) return session.failure(findings.error());
    if (findings->empty() && format->is_default()) return show_health(session);

    show(*findings, *format, session.out);
    const bool sick = std::any_of(findings->begin(), findings->end(),
                                  [](const Finding& finding) { return finding.severity == "error"; });
    return sick ? ExitStatus::failed : ExitStatus::success;
}

}  // namespace

Run doctor_command(CLI::App& app) {
    auto format = std::make_shared<std::string>();
    app.add_option("--format", *format, kFormatWords);
    return [format](Session& session) { return run(*format, session); };
}

}  // namespace brokerd::cli
