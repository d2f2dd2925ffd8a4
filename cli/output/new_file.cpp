#include "cli/output/new_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "common/os/system_error.h"

namespace brokerd::cli {
namespace {

std::string cannot_write(const std::string& path, int code) {
    return fmt::format("cannot write {}: {}", path, errno_text(code));
}

}  // namespace

Result<NewFile> NewFile::create(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
        UniqueFd device{::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY)};
        if (!device) return fail(cannot_write(path, errno));
        return NewFile{path, {}, std::move(device)};
    }
    std::string temporary = path + ".XXXXXX";
    UniqueFd file{::mkostemp(temporary.data(), O_CLOEXEC)};
    if (!file) return fail(cannot_write(path, errno));
    return NewFile{path, std::move(temporary), std::move(file)};
}

NewFile::NewFile(NewFile&& other) noexcept
    : path_{std::move(other.path_)}, temporary_{std::exchange(other.temporary_, {})}, file_{std::move(other.file_)} {}

NewFile::~NewFile() {
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

std::string NewFile::write(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t count = ::write(file_.get(), bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return cannot_write(path_, errno);
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return {};
}

std::string NewFile::commit() {
    if (temporary_.empty()) return {};
    if (::fsync(file_.get()) != 0 || std::rename(temporary_.c_str(), path_.c_str()) != 0) {
        return cannot_write(path_, errno);
    }
    temporary_.clear();
    return {};
}

}  // namespace brokerd::cli
