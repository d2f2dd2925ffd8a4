#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace brokerd {

/// A line that a plugin wrote; or part of a longer one. Untrusted text, may be no UTF-8.
struct LogLine {
    std::chrono::system_clock::time_point time{};
    std::string stream;  ///< "stdout", "stderr"; "brokerd" for what is said about missing lines
    std::string message;
    bool partial = false;  ///< the line goes on in the next one of this stream
};

struct LogQuery {
    bool follow = false;
    std::optional<std::size_t> tail;                             ///< only so many of the newest; nothing: all
    std::optional<std::chrono::system_clock::time_point> since;  ///< only lines from then on
};

/// Where the output of plugins goes.
enum class LogTarget : std::uint8_t {
    automatic,  ///< the journal where it takes messages, else files
    journal,
    files,
};

/// Whether plugins that are started now write to the journal.
[[nodiscard]] bool uses_journal(LogTarget target);

/// Reads back what plugins have written, also in earlier runs. Copies are the same. Thread: any; read() waits.
class PluginLogs {
public:
    /// False: no more, please.
    using Take = std::function<bool(const LogLine&)>;

    /// `directory`: STATE/logs, with a directory for each plugin.
    explicit PluginLogs(std::string directory, LogTarget target = LogTarget::automatic);

    /// Hands the plugin's lines to `take`, oldest first. With `follow` it goes on with those that are written
    /// meanwhile, across restarts of the plugin, until `cancelled` is readable. A plugin that has never written is no
    /// error. Nothing, or one sentence that says why they cannot be read.
    [[nodiscard]] std::optional<std::string> read(const std::string& id, const LogQuery& query, int cancelled,
                                                  const Take& take) const;

    /// Ours: each reader that follows keeps a thread and a connection for as long as it likes.
    static constexpr std::size_t kMaxFollowers = 16;
    /// A place among those who follow, given back with the last copy; null where all are taken.
    [[nodiscard]] std::shared_ptr<const void> begin_following() const;

    /// Where the plugin's shim shall keep its output: its directory; empty for the journal.
    [[nodiscard]] std::string directory_of(const std::string& id) const;

    /// Deletes the plugin's log files, as its removal from the host asks for. What is in the journal stays there until
    /// the journal drops it. Nothing to delete is no error.
    [[nodiscard]] std::optional<std::string> remove(const std::string& id) const;

private:
    std::string directory_;
    LogTarget target_;
    std::shared_ptr<std::atomic<std::size_t>> followers_;
};

}  // namespace brokerd
