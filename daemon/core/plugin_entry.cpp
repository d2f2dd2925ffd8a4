#include "daemon/core/plugin_entry.h"

#include <fmt/format.h>

namespace brokerd {
namespace {

/// Ours: time enough to renew a client certificate at leisure.
constexpr std::chrono::hours kExpiryNotice{24 * 30};

std::string problem_name(PluginDefinition::Problem problem) {
    switch (problem) {
        case PluginDefinition::Problem::none:
            return {};
        case PluginDefinition::Problem::name_mismatch:
            return "name-mismatch";
        case PluginDefinition::Problem::unsafe_owner:
            return "unsafe-owner";
        case PluginDefinition::Problem::malformed:
        case PluginDefinition::Problem::unreadable:
        case PluginDefinition::Problem::bad_name:
        case PluginDefinition::Problem::shortage:
            return "invalid";
    }
    std::abort();
}

Finding failure_finding(const PluginEntry& entry) {
    Finding finding{entry.definition.name,      "error", "unreachable", entry.definition.file,
                    entry.activation->reason(), {}};
    switch (entry.activation->failure()) {
        case Activation::Failure::refused:
            finding.problem = "certificate";
            finding.remedy =
                fmt::format("correct the TLSConfig in {} or the plugin's certificate; brokerd tries again by itself",
                            entry.definition.file);
            break;
        case Activation::Failure::rejected:
            finding.problem = "rejected";
            finding.remedy =
                "make the plugin answer POST /Plugin.Activate with {\"Implements\": [\"VolumeDriver\"]} or another "
                "capability; brokerd tries again by itself";
            break;
        case Activation::Failure::unreachable:
        case Activation::Failure::none:
            finding.remedy = fmt::format("start the plugin, or correct its address in {}; brokerd notices by itself",
                                         entry.definition.file);
            break;
    }
    return finding;
}

void add_expiry(std::vector<Finding>& findings, const PluginEntry& entry, const Scheduler& clock) {
    if (!entry.transport || !entry.transport->target() || !entry.transport->target()->tls) return;
    const auto expiry = entry.transport->target()->tls->client_certificate_expiry();
    if (!expiry || *expiry - clock.wall_clock() > kExpiryNotice) return;
    const bool over = *expiry <= clock.wall_clock();
    const std::string severity = over ? "error" : "warning";
    const std::string_view verb = over ? "expired" : "expires";
    const std::string& file = entry.definition.endpoint->tls()->cert_file;
    findings.push_back({entry.definition.name, severity, "certificate", file,
                        fmt::format("the client certificate {} on {}", verb, format_time(*expiry)),
                        fmt::format("renew {}", file)});
}

}  // namespace

std::string state_name(const PluginEntry& entry) {
    if (!entry.is_valid()) return "invalid";
    switch (entry.activation->state()) {
        case Activation::State::discovered:
            return "discovered";
        case Activation::State::activating:
            return "activating";
        case Activation::State::active:
            return "active";
        case Activation::State::failed:
            return "failed";
    }
    std::abort();
}

PluginView make_view(const PluginEntry& entry, const Scheduler& clock) {
    PluginView view;
    view.name = entry.definition.name;
    view.state = state_name(entry);
    view.definition = entry.definition.file;
    view.published = entry.publication->paths();
    if (!entry.definition.reason.empty())
        view.reason = fmt::format("{}; {}", entry.definition.reason, entry.definition.remedy);
    view.since = entry.since;
    view.warnings = entry.definition.warnings;
    view.shadows = entry.definition.shadows;
    if (auto problem = entry.publication->problem(); !problem.empty()) view.warnings.push_back(std::move(problem));
    if (!entry.is_valid()) return view;

    const Endpoint& endpoint = *entry.definition.endpoint;
    view.endpoint = endpoint.str();
    if (const auto& tls = endpoint.tls()) {
        const std::string verify = tls->insecure_skip_verify ? "none" : (tls->ca_file.empty() ? "system" : "CAFile");
        view.tls = PluginView::Tls{verify, !tls->cert_file.empty()};
    }
    view.reason = entry.activation->reason();
    view.attempts = entry.activation->attempts();
    if (entry.activation->manifest()) view.implements = entry.activation->manifest()->capabilities();
    if (const auto next = entry.activation->next_attempt(); next && view.state != "active") {
        view.next_attempt =
            clock.wall_clock() + std::chrono::duration_cast<std::chrono::system_clock::duration>(*next - clock.now());
    }
    return view;
}

std::vector<Finding> diagnose(const PluginEntry& entry, const Scheduler& clock) {
    std::vector<Finding> findings;
    const PluginDefinition& definition = entry.definition;
    if (definition.problem != PluginDefinition::Problem::none) {
        findings.push_back({definition.name, "error", problem_name(definition.problem), definition.file,
                            definition.reason, definition.remedy});
    }
    if (entry.is_valid() && entry.activation->failure() != Activation::Failure::none)
        findings.push_back(failure_finding(entry));
    if (auto problem = entry.publication->problem(); !problem.empty()) {
        findings.push_back({definition.name, "error", "not-published", definition.file, std::move(problem),
                            "do as the cause says, then reload brokerd (systemctl reload brokerd)"});
    }
    for (const auto& [capability, count] : entry.lacking) {
        if (!entry.is_valid() || (entry.activation->manifest() && entry.activation->manifest()->implements(capability)))
            continue;
        findings.push_back(
            {definition.name, "warning", "wrong-capability", definition.file,
             fmt::format("it was asked {} time{} for {}, but implements only {}", count, count == 1 ? "" : "s",
                         capability,
                         entry.activation->manifest()
                             ? fmt::format("{}", fmt::join(entry.activation->manifest()->capabilities(), ", "))
                             : "what is not known yet"),
             fmt::format("use it only for what pluginctl inspect {} lists under Implements, or name another plugin",
                         definition.name)});
    }
    add_expiry(findings, entry, clock);
    for (const auto& shadow : definition.shadows) {
        findings.push_back({definition.name, "warning", "shadowed", shadow.file, shadow.reason,
                            fmt::format("remove {} or {}, whichever is not meant", shadow.file, definition.file)});
    }
    for (const std::string& warning : definition.warnings) {
        findings.push_back({definition.name, "warning", "warning", definition.file, warning,
                            fmt::format("correct {}", definition.file)});
    }
    return findings;
}

}  // namespace brokerd
