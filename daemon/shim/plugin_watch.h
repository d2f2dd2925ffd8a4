#pragma once

#include <sys/types.h>

#include <optional>

#include "common/os/unique_fd.h"
#include "daemon/shim/last_words.h"
#include "daemon/shim/line_splitter.h"
#include "daemon/shim/log_writer.h"
#include "daemon/shim/memory_watch.h"
#include "daemon/shim/runtime_start.h"
#include "daemon/shim/shim_files.h"

namespace brokerd {

/// One of a plugin's streams, on its way to the log.
class PluginStream {
public:
    PluginStream(UniqueFd pipe, LogRecord::Source source, LogWriter& log, LastWords* words) noexcept
        : pipe_{std::move(pipe)}, source_{source}, log_{log}, words_{words} {}

    /// -1: it has ended.
    [[nodiscard]] int fd() const noexcept { return pipe_.get(); }
    /// Reads once. How many bytes; 0: there is nothing now, or it has ended.
    std::size_t read();
    /// Reads what is there, without waiting for those who still have the other end, and no more than a pipe holds.
    void finish();

private:
    void pass_on(std::string_view line, bool partial);

    UniqueFd pipe_;
    LogRecord::Source source_;
    LogWriter& log_;
    LastWords* words_;
    LineSplitter lines_;
};

/// Stays with a started plugin until its first process has ended: passes on what it writes, reaps every process that
/// becomes a child of this one, and learns how it ended. Needs nobody else to live. Thread: the shim's only one, after
/// notice_children().
class PluginWatch {
public:
    /// `cgroup`: see MemoryWatch.
    PluginWatch(StartedPlugin plugin, LogOutput& output, std::string_view cgroup);
    PluginWatch(const PluginWatch&) = delete;
    PluginWatch& operator=(const PluginWatch&) = delete;

    /// Returns when the plugin's first process has ended and all that it wrote by then has been passed on.
    [[nodiscard]] ShimExit wait();

private:
    void wait_for_something();
    void reap();
    [[nodiscard]] ShimExit finish();

    const pid_t pid_;
    MemoryWatch memory_;
    LogWriter log_;
    LastWords words_;
    PluginStream output_;
    PluginStream errors_;
    std::optional<ShimExit> exit_;
};

}  // namespace brokerd
