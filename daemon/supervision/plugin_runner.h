#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"
#include "daemon/managed/plugin_record.h"

namespace brokerd {

/// How a plugin's first process ended, as far as it can be known.
struct PluginExit {
    enum class Kind : std::uint8_t {
        exited,   ///< by itself, with `status`
        killed,   ///< by the signal `status`
        unknown,  ///< nobody was there to see it
    };

    /// Ours: how much of the last words is shown; more would bury the rest of the sentence.
    static constexpr std::size_t kShownWords = 200;

    Kind kind = Kind::unknown;
    int status = 0;
    bool out_of_memory = false;  ///< the kernel killed it because its cgroup's memory was used up
    std::string last_words;      ///< the end of what it wrote to stderr, one line, may be empty
    std::chrono::system_clock::time_point at{};

    /// "exited with status 1", "was killed by SIGSEGV", "was killed: its memory limit was reached"
    [[nodiscard]] std::string how() const;
    /// The same and its last words, escaped: "exited with status 1: cannot open /dev/fuse"
    [[nodiscard]] std::string str() const;
};

/// A plugin that runs. Destroying this changes nothing about the plugin: it runs on, unwatched, and can be adopted.
/// Its calls do nothing once the plugin has ended, call nobody back before they return, and may be repeated.
/// Thread: the core loop's.
class RunningPlugin {
public:
    virtual ~RunningPlugin() = default;

    /// Its first process, for people to read. Signals go through this object, which knows the process and not its
    /// number.
    [[nodiscard]] virtual pid_t pid() const noexcept = 0;
    [[nodiscard]] virtual std::chrono::system_clock::time_point started() const noexcept = 0;
    /// SIGTERM to its first process, which may ignore it.
    virtual void terminate() = 0;
    /// SIGKILL to all of its processes.
    virtual void kill() = 0;
};

/// Makes plugins run. Whatever blocks is done elsewhere. Thread: the core loop's; every callback is called there, and
/// never before the call that it belongs to has returned. Callbacks may call this object again.
class PluginRunner {
public:
    /// What runs now; or one sentence that says why it does not and what to do, and then nothing is left of it: no
    /// process, no cgroup, no mount, no bundle.
    using Started = std::function<void(Result<std::unique_ptr<RunningPlugin>> result)>;
    /// Called once after a successful start, and after its Started: the plugin has ended, and nothing is left of it. It
    /// may destroy the RunningPlugin; it is not called any more once that has been destroyed.
    using Ended = std::function<void(PluginExit exit)>;

    virtual ~PluginRunner() = default;

    /// Starts the plugin on its record's config and settings, after removing what an earlier run may have left. Bounded
    /// in time. A plugin is started once at a time.
    virtual void start(PluginRecordPtr plugin, Started started, Ended ended) = 0;

    /// The IDs of plugins that an earlier brokerd started and that still run, or have left something behind.
    [[nodiscard]] virtual std::vector<std::string> survivors() = 0;
    /// Takes over one of them. The error is that it has ended meanwhile; nothing is left of it then.
    virtual void adopt(const std::string& id, Started started, Ended ended) = 0;
};

}  // namespace brokerd
