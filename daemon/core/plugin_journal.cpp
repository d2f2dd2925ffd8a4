#include "daemon/core/plugin_journal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/duration_text.h"
#include "common/enumeration.h"

namespace brokerd {
namespace {

/// What an event's action means for the log.
struct Wording {
    enum class Kind : std::uint8_t {
        passing,  ///< says nothing of whether the plugin works
        failing,
        working,
        ending,   ///< whatever it did is over: it is not to work any more, or is another one
        leaving,  ///< nothing defines it any more, perhaps until it is started again
        changing,
    };
    std::string_view action;  ///< as PluginEvent has it; "down" is ours
    Kind kind;
    LogLevel level;
    std::string_view verb;
    MessageId id{};
};

using enum Wording::Kind;

constexpr std::array kWordings{
    Wording{"discovered", passing, LogLevel::debug, "is discovered"},
    Wording{"redefined", passing, LogLevel::debug, "is defined anew"},
    Wording{"activating", passing, LogLevel::debug, "is being activated"},
    Wording{"down", failing, LogLevel::warning, "is down", message::kPluginDown},
    Wording{"active", working, LogLevel::info, "is active", message::kPluginActive},
    Wording{"changed", changing, LogLevel::info, "has changed", message::kPluginChanged},
    Wording{"failed", failing, LogLevel::warning, "has failed", message::kPluginFailed},
    Wording{"invalid", failing, LogLevel::warning, "is invalid", message::kPluginInvalid},
    Wording{"gone", leaving, LogLevel::info, "is gone", message::kPluginGone},
    Wording{"installed", ending, LogLevel::info, "is installed", message::kPluginInstalled},
    Wording{"upgraded", ending, LogLevel::info, "is upgraded", message::kPluginUpgraded},
    Wording{"set", passing, LogLevel::info, "has new settings", message::kPluginSet},
    Wording{"enabled", passing, LogLevel::info, "is enabled", message::kPluginEnabled},
    Wording{"disabled", ending, LogLevel::info, "is disabled", message::kPluginDisabled},
    Wording{"removed", ending, LogLevel::info, "is removed", message::kPluginRemoved},
    Wording{"starting", passing, LogLevel::debug, "is starting"},
    Wording{"running", working, LogLevel::info, "is running", message::kPluginRunning},
    Wording{"unhealthy", failing, LogLevel::warning, "is unhealthy", message::kPluginUnhealthy},
    Wording{"restarting", failing, LogLevel::warning, "is restarting", message::kPluginRestarting},
    Wording{"stopping", passing, LogLevel::debug, "is stopping"},
    Wording{"stopped", ending, LogLevel::info, "is stopped", message::kPluginStopped},
};

const Wording& wording_of(std::string_view action) {
    static constexpr Wording kUnknown{"", passing, LogLevel::info, "has an event"};
    const auto* const found = std::find_if(kWordings.begin(), kWordings.end(),
                                           [&](const Wording& wording) { return wording.action == action; });
    return found == kWordings.end() ? kUnknown : *found;
}

/// A legacy plugin that was in service is "activating" again, for a reason; the first time there is none.
const Wording& wording_of(const PluginEvent& event) {
    return wording_of(event.action == "activating" && !event.detail.empty() ? "down" : event.action);
}

std::string after_colon(std::string_view text) {
    return text.empty() ? std::string{} : fmt::format(": {}", text);
}

LogEntry about(const std::string& plugin, const std::string& id, std::string_view action, std::string_view reason) {
    LogEntry entry;
    entry.fields.push_back({"PLUGIN_NAME", plugin});
    if (!id.empty()) entry.fields.push_back({"PLUGIN_ID", id});
    entry.fields.push_back({"EVENT", std::string{action == "down" ? "activating" : action}});
    if (!reason.empty()) entry.fields.push_back({"REASON", std::string{reason}});
    return entry;
}

LogEntry entry_for(const PluginEvent& event, const std::string& id, const Wording& wording) {
    const bool has_reason = wording.kind == failing || event.action == "stopped";
    LogEntry entry = about(event.plugin, id, event.action, has_reason ? event.detail : std::string{});
    entry.level = wording.level;
    entry.id = wording.id;
    entry.message = event.action == "changed"
                        ? fmt::format("plugin {} now implements {}", event.plugin, fmt::join(event.implements, ", "))
                        : fmt::format("plugin {} {}{}", event.plugin, wording.verb, after_colon(event.detail));
    return entry;
}

std::string times(std::uint64_t count) {
    return count == 1 ? "once" : fmt::format("{} times", count);
}

/// What a summary says of one plugin.
std::string summary(const std::string& plugin, const FailureSpell& spell, const FailureSpell::Sum& sum) {
    const std::string_view verb = wording_of(spell.action()).verb;
    if (wording_of(spell.action()).kind == changing) {
        return fmt::format("plugin {} {}, {} more in the last {}: it now implements {}", plugin, verb, times(sum.times),
                           duration_text(sum.span), spell.reason());
    }
    if (spell.is_failing()) {
        return fmt::format("plugin {} {}, {} more in the last {}: {}", plugin, verb, times(sum.times),
                           duration_text(sum.span), spell.reason());
    }
    return fmt::format("plugin {} works, but has failed {} more in the last {}, the last time: {}", plugin,
                       times(sum.times), duration_text(sum.span), spell.reason());
}

}  // namespace

PluginJournal::PluginJournal(Scheduler& scheduler, Write write) : scheduler_{scheduler}, write_{std::move(write)} {}

void PluginJournal::note(const PluginEvent& event, const std::string& id) {
    const Wording& wording = wording_of(event);
    LogEntry entry = entry_for(event, id, wording);
    switch (wording.kind) {
        case failing:
            return fail(event, id, std::move(entry));
        case working:
            return recover(event, std::move(entry));
        case ending:
            failing_.erase(event.plugin);
            changing_.erase(event.plugin);
            [[fallthrough]];
        case passing:
            return write_(std::move(entry));
        case leaving:
            return leave(event, id, std::move(entry));
        case changing:
            return change(event, id, std::move(entry));
    }
}

FailureSpell* PluginJournal::spell_of(Spells& spells, const PluginEvent& event, const std::string& id) {
    if (spells.size() >= kMostSpells && !spells.contains(event.plugin)) return nullptr;
    plan();
    return &spells.try_emplace(event.plugin, Failing{id, FailureSpell{scheduler_.now()}}).first->second.spell;
}

void PluginJournal::fail(const PluginEvent& event, const std::string& id, LogEntry entry) {
    FailureSpell* const spell = spell_of(failing_, event, id);
    const bool is_told = spell == nullptr || spell->fail(wording_of(event).action, event.detail, scheduler_.now());
    if (!is_told) entry.level = LogLevel::debug;
    write_(std::move(entry));
}

/// A plugin that removes its socket when it ends, and is started again, is gone with each crash.
void PluginJournal::leave(const PluginEvent& event, const std::string& id, LogEntry entry) {
    FailureSpell* const spell = spell_of(failing_, event, id);
    if (spell != nullptr && !spell->leave(event.detail, scheduler_.now())) entry.level = LogLevel::debug;
    write_(std::move(entry));
}

/// A spell of its own: it works all the time.
void PluginJournal::change(const PluginEvent& event, const std::string& id, LogEntry entry) {
    if (FailureSpell* const spell = spell_of(changing_, event, id)) {
        const auto now = scheduler_.now();
        const std::string manifest = fmt::format("{}", fmt::join(event.implements, ", "));
        if (!spell->fail(event.action, manifest, now)) entry.level = LogLevel::debug;
        static_cast<void>(spell->recover(now));
    }
    write_(std::move(entry));
}

void PluginJournal::recover(const PluginEvent& event, LogEntry entry) {
    const auto found = failing_.find(event.plugin);
    if (found != failing_.end()) {
        FailureSpell& spell = found->second.spell;
        const auto now = scheduler_.now();
        if (!spell.recover(now)) entry.level = LogLevel::debug;
        const bool was_only_away = spell.action() == "gone" && spell.failures() == 1;
        if (!was_only_away)
            entry.message += fmt::format("; before that it failed for {}{}", duration_text(spell.lasted(now)),
                                         spell.failures() == 1 ? std::string{} : ", " + times(spell.failures()));
    }
    write_(std::move(entry));
}

void PluginJournal::note_again(const std::string& plugin, const std::string& reason) {
    const auto found = failing_.find(plugin);
    if (found == failing_.end()) return;
    FailureSpell& spell = found->second.spell;
    const std::string action = spell.action();
    const Wording& wording = wording_of(action);
    LogEntry entry = about(plugin, found->second.id, action, reason);
    entry.level = spell.fail(action, reason, scheduler_.now()) ? wording.level : LogLevel::debug;
    entry.id = wording.id;
    entry.message = fmt::format("plugin {} {}{}", plugin, wording.verb, after_colon(reason));
    write_(std::move(entry));
}

void PluginJournal::note_moved(const std::string& plugin) {
    const auto found = failing_.find(plugin);
    if (found != failing_.end()) found->second.spell.move();
}

void PluginJournal::plan() {
    if (!turn_) turn_ = scheduler_.after(kTurn, [this] { take_turn(); });
}

void PluginJournal::take_turn() {
    turn_.reset();
    Due due;
    sum_up(failing_, due);
    sum_up(changing_, due);
    write_due(std::move(due));
    if (!failing_.empty() || !changing_.empty()) plan();
}

void PluginJournal::sum_up(Spells& spells, Due& due) {
    const auto now = scheduler_.now();
    for (auto plugin = spells.begin(); plugin != spells.end();) {
        auto& [name, what] = *plugin;
        const auto sum = what.spell.due(now);
        if (sum && sum->times > 0) {
            LogEntry entry = about(name, what.id, what.spell.action(), what.spell.reason());
            entry.level = LogLevel::warning;
            entry.id = message::kFailuresSummed;
            entry.message = summary(name, what.spell, *sum);
            entry.fields.push_back({"FAILURES", std::to_string(sum->times)});
            due.emplace_back(name, std::move(entry));
        }
        plugin = sum && sum->is_over ? spells.erase(plugin) : std::next(plugin);
    }
}

void PluginJournal::write_due(Due due) {
    if (due.size() <= kSingly) {
        for (auto& [name, entry] : due) write_(std::move(entry));
        return;
    }
    std::vector<std::string> names;
    for (auto& [name, entry] : due) names.push_back(std::move(name));
    LogEntry entry{LogLevel::warning,
                   fmt::format("{} plugins have failed again and again: {}; \"pluginctl doctor\" has the reasons",
                               names.size(), enumeration(names, kSingly)),
                   message::kFailuresSummed};
    write_(std::move(entry));
}

}  // namespace brokerd
