#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/plugin_view.h"
#include "daemon/core/failure_spell.h"
#include "daemon/loop/log_entry.h"
#include "daemon/loop/scheduler.h"

namespace brokerd {

/// What the log says of plugins: one line for each event, with its fields; but a plugin that fails in the same way
/// again and again is told of once, and from then on summed up, ever more rarely (see FailureSpell); so is one that
/// says again and again that it implements something else. Many that are due at the same time share a line. What is
/// left out is logged as "debug". Memory: a record for each plugin that fails or changes, for as long as it does.
/// Thread: the core loop's.
class PluginJournal {
public:
    using Write = std::function<void(LogEntry)>;

    /// Ours: how often is looked for what is to be summed up, while any plugin fails.
    static constexpr std::chrono::seconds kTurn{5};
    /// Ours: of more plugins than these in one turn, one line tells.
    static constexpr std::size_t kSingly = 5;
    /// Ours: more failing plugins than discovery and store take together; those beyond are told of each time.
    static constexpr std::size_t kMostSpells = 20'000;

    explicit PluginJournal(Scheduler& scheduler, Write write = log_entry);

    /// Each event, once. `id`: of a managed plugin.
    void note(const PluginEvent& event, const std::string& id);
    /// A plugin that has failed was tried again in vain: no event tells of it.
    void note_again(const std::string& plugin, const std::string& reason);
    /// It is defined at another place now: that it fails there as well is news.
    void note_moved(const std::string& plugin);

private:
    struct Failing {
        std::string id;  ///< of a managed plugin
        FailureSpell spell;
    };
    using Due = std::vector<std::pair<std::string, LogEntry>>;  ///< by plugin

    using Spells = std::map<std::string, Failing>;  ///< by name

    /// The plugin's spell, which may begin now; nothing where there are too many.
    FailureSpell* spell_of(Spells& spells, const PluginEvent& event, const std::string& id);
    void fail(const PluginEvent& event, const std::string& id, LogEntry entry);
    void recover(const PluginEvent& event, LogEntry entry);
    void leave(const PluginEvent& event, const std::string& id, LogEntry entry);
    void change(const PluginEvent& event, const std::string& id, LogEntry entry);
    void sum_up(Spells& spells, Due& due);
    void plan();
    void take_turn();
    void write_due(Due due);

    Scheduler& scheduler_;
    const Write write_;
    Spells failing_;
    Spells changing_;  ///< works, but its manifest changes
    std::unique_ptr<Scheduler::Timer> turn_;
};

}  // namespace brokerd
