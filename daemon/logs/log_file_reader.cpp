#include "daemon/logs/log_file_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "common/json.h"
#include "common/json_members.h"
#include "common/plugin_view.h"
#include "daemon/shim/log_files.h"

namespace brokerd {
namespace {

std::optional<LogLine> parse_line(std::string_view text) {
    const auto entry = parse_json(text);
    if (!entry || !entry->IsObject()) return std::nullopt;
    const rapidjson::Value* message = member(*entry, "Message");
    if (message == nullptr || !message->IsString()) return std::nullopt;
    const rapidjson::Value* partial = member(*entry, "Partial");
    return LogLine{parse_time(string_member(*entry, "Time")), string_member(*entry, "Stream"),
                   string_member(*entry, "Message"), partial != nullptr && partial->IsBool() && partial->GetBool()};
}

}  // namespace

LogFileReader::LogFileReader(int directory, const char* name)
    : file_{openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)} {
    struct stat what {};
    if (file_ && fstat(file_.get(), &what) == 0 && S_ISREG(what.st_mode)) {
        inode_ = what.st_ino;
    } else {
        file_.reset();
    }
}

bool LogFileReader::read(const PluginLogs::Take& take) {
    std::array<char, std::size_t{32} << 10> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): read() fills it
    while (file_) {
        const ssize_t got = ::read(file_.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        pending_.append(buffer.data(), static_cast<std::size_t>(got));
        if (!hand_on_lines(take)) return false;
        if (pending_.size() > log_files::kMaxLineBytes) {
            skipping_ = true;
            pending_.clear();
        }
    }
    return true;
}

bool LogFileReader::hand_on_lines(const PluginLogs::Take& take) {
    std::size_t begin = 0;
    for (;;) {
        const std::size_t end = pending_.find('\n', begin);
        if (end == std::string::npos) break;
        const bool skip = skipping_;
        skipping_ = false;
        const auto line = skip ? std::nullopt : parse_line(std::string_view{pending_}.substr(begin, end - begin));
        begin = end + 1;
        if (line && !take(*line)) return false;
    }
    pending_.erase(0, begin);
    return true;
}

ino_t inode_of(int directory, const char* name) {
    struct stat what {};
    return fstatat(directory, name, &what, AT_SYMLINK_NOFOLLOW) == 0 ? what.st_ino : 0;
}

}  // namespace brokerd
