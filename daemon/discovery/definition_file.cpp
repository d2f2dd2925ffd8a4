#include "daemon/discovery/definition_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "common/os/path_trust.h"
#include "common/os/shortage.h"
#include "common/os/system_error.h"
#include "common/os/unique_fd.h"
#include "common/plugin_name.h"
#include "daemon/discovery/definition_text.h"

namespace brokerd {
namespace {

using Problem = PluginDefinition::Problem;
using Source = PluginDefinition::Source;

class DefinitionFile {
public:
    DefinitionFile(const std::string& name, const std::string& file, Source source, FileTrust trust)
        : definition_{blank_definition(name, file, source)}, trust_{trust}, shown_{escaped(file, file.size())} {}

    PluginDefinition load() {
        // Looked at before it is opened: opening a device can have effects, and a FIFO's writer would notice.
        struct stat status {};
        if (stat(definition_.file.c_str(), &status) != 0) return refused("read", errno);
        if (definition_.source == Source::socket) return load_socket(status);
        if (!S_ISREG(status.st_mode)) return wrong_type(status);
        return load_text();
    }

private:
    PluginDefinition failed(Problem problem, std::string reason, std::string remedy) {
        definition_.problem = problem;
        definition_.reason = std::move(reason);
        definition_.remedy = std::move(remedy);
        return std::move(definition_);
    }

    PluginDefinition refused(std::string_view operation, int code) {
        if (code == ENOENT) {
            return failed(Problem::malformed, shown_ + " is a symbolic link to a file that does not exist",
                          "create the file that it points to, or remove the link");
        }
        if (code == ELOOP)
            return failed(Problem::malformed, shown_ + " is a symbolic link that leads in a circle", "remove the link");
        return failed(is_shortage(code) ? Problem::shortage : Problem::unreadable,
                      fmt::format("cannot {} {}: {}", operation, shown_, errno_text(code)),
                      "make it a regular file that brokerd's user can read");
    }

    PluginDefinition wrong_type(const struct stat& status) {
        const bool socket = definition_.source == Source::socket;
        return failed(
            Problem::malformed,
            fmt::format("{} is {}, not {}", shown_, file_type(status), socket ? "a socket" : "a regular file"),
            socket ? "let the plugin create its socket there, or remove the file"
            : S_ISSOCK(status.st_mode)
                ? "let the plugin create its socket in the engine's socket directory, as NAME.sock"
                : "replace it by a regular file");
    }

    /// Whether the file's owner and mode are such that it can be believed; `check_mode` is false for sockets, whose
    /// w bits are the permission to connect.
    bool is_trusted(const struct stat& status, bool check_mode) {
        if (trust_ == FileTrust::anybody) return true;
        const bool owner = status.st_uid == 0 || status.st_uid == geteuid();
        const bool mode = !check_mode || !others_can_write(status);
        if (owner && mode) return is_place_trusted();
        std::string reason = shown_;
        std::string remedy;
        if (!owner) {
            reason += fmt::format(" belongs to user {}, not to root", status.st_uid);
            remedy = "chown root:root " + shown_;
        }
        if (!mode) {
            reason += fmt::format("{} can be written by others than its owner (mode {:04o})", owner ? "" : " and",
                                  status.st_mode & 07777U);
            remedy += fmt::format("{}chmod 644 {}", remedy.empty() ? "" : "; ", shown_);
        }
        failed_trust_ = {std::move(reason), std::move(remedy)};
        return false;
    }

    /// Whoever can rename in a directory on the way can have any file of root's taken for this one.
    bool is_place_trusted() {
        const auto place = find_untrusted(definition_.file);
        if (!place) return true;
        failed_trust_ = {fmt::format("{}, and so not root alone decides what {} is", place->reason, shown_),
                         place->remedy};
        return false;
    }

    PluginDefinition distrusted() {
        return failed(Problem::unsafe_owner, std::move(failed_trust_.first), std::move(failed_trust_.second));
    }

    PluginDefinition load_socket(const struct stat& status) {
        if (!S_ISSOCK(status.st_mode)) return wrong_type(status);
        if (!is_trusted(status, false)) return distrusted();
        constexpr std::size_t kMaxSocketPath = sizeof(sockaddr_un::sun_path) - 1;
        if (definition_.file.size() > kMaxSocketPath) {
            return failed(
                Problem::malformed,
                fmt::format("the path {} is longer than {} bytes: nobody can connect to it", shown_, kMaxSocketPath),
                "give the plugin a shorter name");
        }
        definition_.endpoint = Endpoint::unix_socket(definition_.file);
        return std::move(definition_);
    }

    PluginDefinition load_text() {
        const UniqueFd fd{open(definition_.file.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
        if (!fd) return refused("open", errno);
        struct stat status {};
        if (fstat(fd.get(), &status) != 0) return refused("read", errno);
        if (!S_ISREG(status.st_mode)) return wrong_type(status);
        if (!is_trusted(status, true)) return distrusted();
        const std::size_t limit = definition_.source == Source::spec ? kMaxSpecBytes : kMaxJsonBytes;
        std::string text(limit + 1, '\0');
        std::size_t length = 0;
        while (length < text.size()) {
            const ssize_t bytes = read(fd.get(), text.data() + length, text.size() - length);
            if (bytes < 0 && errno == EINTR) continue;
            if (bytes < 0) return refused("read", errno);
            if (bytes == 0) break;
            length += static_cast<std::size_t>(bytes);
        }
        text.resize(length);
        if (length > limit) {
            return failed(Problem::malformed, fmt::format("{} is longer than {} bytes", shown_, limit),
                          definition_.source == Source::spec
                              ? "write one URL into it, and nothing else"
                              : "write Name, Addr and TLSConfig into it, and nothing else");
        }
        return definition_.source == Source::spec ? parse_spec_text(definition_.name, definition_.file, text)
                                                  : parse_json_text(definition_.name, definition_.file, text);
    }

    PluginDefinition definition_;
    FileTrust trust_;
    std::string shown_;
    std::pair<std::string, std::string> failed_trust_;  ///< reason and remedy
};

}  // namespace

PluginDefinition load_definition(const std::string& name, const std::string& file, Source source, FileTrust trust) {
    return DefinitionFile{name, file, source, trust}.load();
}

std::string file_type(const struct stat& status) {
    switch (status.st_mode & S_IFMT) {
        case S_IFREG:
            return "a regular file";
        case S_IFDIR:
            return "a directory";
        case S_IFLNK:
            return "a symbolic link";
        case S_IFIFO:
            return "a FIFO";
        case S_IFSOCK:
            return "a socket";
        case S_IFBLK:
            return "a block device";
        case S_IFCHR:
            return "a character device";
        default:
            return "a file of unknown type";
    }
}

}  // namespace brokerd
