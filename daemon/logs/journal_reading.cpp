#include <fmt/format.h>
#include <poll.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string_view>

#include "common/os/system_error.h"
#include "daemon/logs/log_reading.h"
#include "daemon/shim/log_files.h"

namespace brokerd {
namespace {

struct CloseJournal {
    void operator()(sd_journal* journal) const noexcept { sd_journal_close(journal); }
};
using Journal = std::unique_ptr<sd_journal, CloseJournal>;

std::string cannot_read(int problem) {
    return fmt::format("cannot read the journal: {}; \"journalctl --verify\" checks it", errno_text(-problem));
}

/// The plugin's lines only, and only those of this user: everybody may write to the journal what they like.
int open_for(const std::string& id, Journal& journal) {
    sd_journal* opened = nullptr;
    if (const int problem = sd_journal_open(&opened, SD_JOURNAL_LOCAL_ONLY); problem < 0) return problem;
    journal.reset(opened);
    sd_journal_set_data_threshold(opened, log_files::kMaxMessageBytes + 64);
    // With a stream: what brokerd itself has to say of the plugin has none.
    for (const std::string& match :
         {"PLUGIN_ID=" + id, fmt::format("_UID={}", geteuid()), std::string{"PLUGIN_STREAM=stdout"},
          std::string{"PLUGIN_STREAM=stderr"}, std::string{"PLUGIN_STREAM=brokerd"}}) {
        if (const int problem = sd_journal_add_match(opened, match.data(), match.size()); problem < 0) return problem;
    }
    return 0;
}

std::string field(sd_journal* journal, std::string_view name) {
    const void* data = nullptr;
    std::size_t size = 0;
    if (sd_journal_get_data(journal, name.data(), &data, &size) < 0) return {};
    const std::string_view whole{static_cast<const char*>(data), size};  // "NAME=value"
    return std::string{whole.substr(std::min(whole.size(), name.size() + 1))};
}

LogLine line_of(sd_journal* journal) {
    std::uint64_t time = 0;
    sd_journal_get_realtime_usec(journal, &time);
    return {std::chrono::system_clock::time_point{std::chrono::microseconds{time}}, field(journal, "PLUGIN_STREAM"),
            field(journal, "MESSAGE"), field(journal, "PLUGIN_PARTIAL") == "1"};
}

/// Goes before the first entry that is asked for. 1: it stands on that one already; 0: sd_journal_next() is next.
int seek_start(sd_journal* journal, const LogQuery& query) {
    if (query.tail) {
        if (const int problem = sd_journal_seek_tail(journal); problem < 0) return problem;
        // Of none at all: the last one is gone to, and passed.
        const int found = sd_journal_previous_skip(journal, std::max<std::uint64_t>(*query.tail, 1));
        if (found < 0) return found;
        if (found > 0) return *query.tail > 0 ? 1 : 0;
        return sd_journal_seek_head(journal);  // there is nothing yet; from the tail nothing would ever come
    }
    if (!query.since) return sd_journal_seek_head(journal);
    const auto since = std::chrono::duration_cast<std::chrono::microseconds>(query.since->time_since_epoch()).count();
    return sd_journal_seek_realtime_usec(journal, static_cast<std::uint64_t>(std::max<std::int64_t>(since, 0)));
}

/// Waits until the journal has changed. 0: cancelled.
int wait_for_change(sd_journal* journal, int cancelled) {
    for (;;) {
        std::uint64_t until = 0;  // of the monotonic clock; the greatest number: none
        if (const int problem = sd_journal_get_timeout(journal, &until); problem < 0) return problem;
        timespec now{};
        clock_gettime(CLOCK_MONOTONIC, &now);
        const auto present =
            static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
        const std::uint64_t left = until > present ? (until - present) / 1000 + 1 : 0;
        const int limit = until == UINT64_MAX ? -1 : static_cast<int>(std::min<std::uint64_t>(left, 60'000));
        std::array<pollfd, 2> fds{{{sd_journal_get_fd(journal), static_cast<short>(sd_journal_get_events(journal)), 0},
                                   {cancelled, POLLIN, 0}}};
        if (poll(fds.data(), fds.size(), limit) < 0 && errno != EINTR) return -errno;
        if (fds[1].revents != 0) return 0;
        const int change = sd_journal_process(journal);
        if (change < 0) return change;
        if (change != SD_JOURNAL_NOP) return 1;
    }
}

bool is_readable(int fd) {
    pollfd wait{fd, POLLIN, 0};
    return poll(&wait, 1, 0) > 0;
}

/// Hands on every entry from here to the end. 1: more may follow; 0: enough.
int read_rest(sd_journal* journal, bool stands, const LogQuery& query, int cancelled, const PluginLogs::Take& take) {
    for (;;) {
        const int next = stands ? 1 : sd_journal_next(journal);
        if (next < 0) return next;
        if (next == 0) return 1;
        stands = false;
        const LogLine line = line_of(journal);
        const bool wanted = !query.since || line.time >= *query.since;
        if ((wanted && !take(line)) || is_readable(cancelled)) return 0;
    }
}

}  // namespace

std::optional<std::string> read_journal(const std::string& id, const LogQuery& query, int cancelled,
                                        const PluginLogs::Take& take) {
    Journal journal;
    if (const int problem = open_for(id, journal); problem < 0) return cannot_read(problem);
    // Changes are noticed from the first call on, so it comes before the first reading.
    if (const int fd = query.follow ? sd_journal_get_fd(journal.get()) : 0; fd < 0) return cannot_read(fd);
    const int stands = seek_start(journal.get(), query);
    if (stands < 0) return cannot_read(stands);
    int more = read_rest(journal.get(), stands > 0, query, cancelled, take);
    while (more > 0 && query.follow) {
        more = wait_for_change(journal.get(), cancelled);
        if (more > 0) more = read_rest(journal.get(), false, query, cancelled, take);
    }
    if (more < 0) return cannot_read(more);
    return std::nullopt;
}

}  // namespace brokerd
