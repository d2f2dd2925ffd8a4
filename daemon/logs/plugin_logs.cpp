#include "daemon/logs/plugin_logs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/os/disk_error.h"
#include "common/os/unique_fd.h"
#include "daemon/logs/log_reading.h"
#include "daemon/shim/journal_output.h"
#include "daemon/shim/log_files.h"

namespace brokerd {

bool uses_journal(LogTarget target) {
    if (target != LogTarget::automatic) return target == LogTarget::journal;
    struct stat what {};
    return stat(JournalOutput::kSocket, &what) == 0 && S_ISSOCK(what.st_mode);
}

PluginLogs::PluginLogs(std::string directory, LogTarget target)
    : directory_{std::move(directory)}, target_{target}, followers_{std::make_shared<std::atomic<std::size_t>>(0)} {}

std::optional<std::string> PluginLogs::read(const std::string& id, const LogQuery& query, int cancelled,
                                            const Take& take) const {
    if (uses_journal(target_)) return read_journal(id, query, cancelled, take);
    return read_log_files(directory_ + '/' + id, query, cancelled, take);
}

std::shared_ptr<const void> PluginLogs::begin_following() const {
    if (followers_->fetch_add(1) >= kMaxFollowers) {
        followers_->fetch_sub(1);
        return nullptr;
    }
    return std::shared_ptr<const void>{this, [count = followers_](const void*) { count->fetch_sub(1); }};
}

std::string PluginLogs::directory_of(const std::string& id) const {
    return uses_journal(target_) ? std::string{} : directory_ + '/' + id;
}

std::optional<std::string> PluginLogs::remove(const std::string& id) const {
    const std::string path = directory_ + '/' + id;
    const UniqueFd directory{open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)};
    if (!directory) {
        if (errno == ENOENT) return std::nullopt;
        return disk_error("open the directory", path, errno);
    }
    for (const std::string_view name : {log_files::kCurrent, log_files::kPrevious}) {
        if (unlinkat(directory.get(), name.data(), 0) == 0 || errno == ENOENT) continue;
        return disk_error("remove", path + '/' + std::string{name}, errno);
    }
    if (rmdir(path.c_str()) == 0 || errno == ENOENT) return std::nullopt;
    return disk_error("remove the directory", path, errno);
}

}  // namespace brokerd
