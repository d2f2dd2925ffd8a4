#include "daemon/shim/file_output.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/json.h"
#include "common/plugin_view.h"
#include "daemon/shim/log_files.h"

namespace brokerd {
namespace {

bool make_directory(const std::string& path) {
    return mkdir(path.c_str(), 0700) == 0 || errno == EEXIST;
}

}  // namespace

FileOutput::FileOutput(std::string directory) : path_{std::move(directory)} {}

bool FileOutput::write(const LogRecord& record) {
    buffer_.Clear();
    JsonWriter writer{buffer_};
    writer.StartObject();
    write_member(writer, "Time", format_time(record.time));
    write_member(writer, "Stream", to_text(record.source));
    write_member(writer, "Message", record.message);
    if (record.partial) {
        write_key(writer, "Partial");
        writer.Bool(true);
    }
    writer.EndObject();
    buffer_.Put('\n');
    return make_room(buffer_.GetSize()) && append(buffer_.GetString(), buffer_.GetSize());
}

bool FileOutput::open_directory() {
    if (directory_) return true;
    const std::string parent = path_.substr(0, path_.rfind('/'));
    if (!make_directory(parent) || !make_directory(path_)) return false;
    directory_.reset(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    return static_cast<bool>(directory_);
}

bool FileOutput::open_current() {
    if (current_) return true;
    if (!open_directory()) return false;
    const int flags = O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    UniqueFd file{openat(directory_.get(), log_files::kCurrent.data(), flags, 0600)};
    struct stat what {};
    if (!file || fstat(file.get(), &what) != 0 || !S_ISREG(what.st_mode)) return false;
    size_ = static_cast<std::size_t>(what.st_size);
    current_ = std::move(file);
    // An earlier writer that was killed may have left half a line.
    char last = '\n';
    if (size_ > 0 && pread(current_.get(), &last, 1, what.st_size - 1) == 1 && last != '\n') return append("\n", 1);
    return true;
}

bool FileOutput::make_room(std::size_t bytes) {
    if (!open_current()) return false;
    if (size_ == 0 || size_ + bytes <= log_files::kMaxFileBytes) return true;
    const int place = directory_.get();
    if (renameat(place, log_files::kCurrent.data(), place, log_files::kPrevious.data()) != 0 && errno != ENOENT) {
        return false;
    }
    current_.reset();
    return open_current();
}

bool FileOutput::append(const char* bytes, std::size_t size) {
    ssize_t put = -1;
    do {
        put = ::write(current_.get(), bytes, size);
    } while (put < 0 && errno == EINTR);
    if (put == static_cast<ssize_t>(size)) {
        size_ += size;
        return true;
    }
    // A full disk may take the beginning of a line.
    if (put > 0 && ftruncate(current_.get(), static_cast<off_t>(size_)) != 0) current_.reset();
    return false;
}

}  // namespace brokerd
