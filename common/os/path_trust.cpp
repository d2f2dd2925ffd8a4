#include "common/os/path_trust.h"

#include <fmt/format.h>
#include <unistd.h>

#include <deque>
#include <string_view>

#include "common/os/path_steps.h"
#include "common/plugin_name.h"

namespace brokerd {
namespace {

void put_in_front(std::string_view path, std::deque<std::string>& rest) {
    const std::deque<std::string> parts = path_components(path);
    rest.insert(rest.begin(), parts.begin(), parts.end());
}

/// For a command that somebody copies: whoever made a directory has also chosen its name.
std::string quoted(const std::string& shown) {
    constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/:@+-=,%";
    if (shown.find_first_not_of(kPlain) == std::string::npos) return shown;
    std::string text{'\''};
    for (const char c : shown) text += c == '\'' ? std::string{"'\\''"} : std::string{c};
    return text + '\'';
}

std::optional<UntrustedPlace> judge(const std::string& path, const struct stat& status) {
    const bool is_directory = S_ISDIR(status.st_mode);
    if (!is_directory && !S_ISLNK(status.st_mode)) return std::nullopt;
    const std::string shown = escaped(path, path.size());
    const std::string what = fmt::format("the {} {}", is_directory ? "directory" : "symbolic link", shown);
    if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
        return UntrustedPlace{fmt::format("{} belongs to user {}, not to root", what, status.st_uid),
                              fmt::format("chown --no-dereference root:root {}", quoted(shown))};
    }
    if (!is_directory || !others_can_write(status) || (status.st_mode & S_ISVTX) != 0) return std::nullopt;
    return UntrustedPlace{
        fmt::format("{} can be written by others than its owner (mode {:04o})", what, status.st_mode & 07777U),
        fmt::format("chmod go-w {}", quoted(shown))};
}

}  // namespace

bool others_can_write(const struct stat& status) noexcept {
    return (status.st_mode & S_IWOTH) != 0 || ((status.st_mode & S_IWGRP) != 0 && status.st_gid != 0);
}

std::optional<UntrustedPlace> find_untrusted(const std::string& path) {
    std::deque<std::string> rest;
    put_in_front(path, rest);
    std::string directory;  // "" for the root, so that joining needs no case
    for (unsigned links = 0; !rest.empty();) {
        const std::string name = std::move(rest.front());
        rest.pop_front();
        if (name == "..") {
            directory.erase(directory.empty() ? 0 : directory.rfind('/'));
            continue;
        }
        const std::string entry = directory + '/' + name;
        struct stat status {};
        if (::lstat(entry.c_str(), &status) != 0) return std::nullopt;
        if (auto untrusted = judge(entry, status)) return untrusted;
        if (S_ISDIR(status.st_mode)) {
            directory = entry;
        } else if (!S_ISLNK(status.st_mode) || ++links > kMaxLinks) {
            return std::nullopt;
        } else {
            const std::string target = link_target(entry);
            if (target.starts_with('/')) directory.clear();
            put_in_front(target, rest);
        }
    }
    return std::nullopt;
}

}  // namespace brokerd
