#include "daemon/runtime/mount_table.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <optional>

#include "common/os/system_error.h"
#include "common/os/unique_fd.h"

namespace brokerd {
namespace {

/// Ours: about 400 000 mounts, four times as many as the kernel lets one namespace have (fs.mount-max).
constexpr std::size_t kMaxTableBytes = std::size_t{64} << 20;

/// The kernel writes blank, tab, line feed and backslash as a backslash with three octal digits.
std::string unescape(std::string_view text) {
    std::string plain;
    plain.reserve(text.size());
    const auto octal = [](char digit) { return digit >= '0' && digit <= '7'; };
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 3 >= text.size() || !octal(text[i + 1]) || !octal(text[i + 2]) ||
            !octal(text[i + 3])) {
            plain.push_back(text[i]);
            continue;
        }
        const int value = (text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0');
        plain.push_back(static_cast<char>(value));
        i += 3;
    }
    return plain;
}

/// Takes the text up to the next blank off the line.
std::string_view take_field(std::string_view& line) {
    const std::size_t end = line.find(' ');
    const std::string_view field = line.substr(0, end);
    line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
    return field;
}

bool read_number(std::string_view text, int& number) {
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    return code == std::errc{} && end == text.data() + text.size();
}

std::optional<MountEntry> parse_line(std::string_view line) {
    MountEntry entry;
    if (!read_number(take_field(line), entry.id) || !read_number(take_field(line), entry.parent)) return std::nullopt;
    entry.device = take_field(line);
    entry.root = unescape(take_field(line));
    entry.mount_point = unescape(take_field(line));
    take_field(line);  // the mount's options
    while (true) {     // optional fields, as many as there are, up to a hyphen
        if (line.empty()) return std::nullopt;
        const std::string_view field = take_field(line);
        if (field == "-") break;
        if (field.starts_with("shared:")) entry.shared = true;
    }
    entry.type = unescape(take_field(line));
    entry.source = unescape(take_field(line));
    if (entry.mount_point.empty()) return std::nullopt;
    return entry;
}

}  // namespace

std::vector<MountEntry> parse_mount_table(std::string_view text) {
    std::vector<MountEntry> entries;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        if (auto entry = parse_line(text.substr(0, end))) entries.push_back(*std::move(entry));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return entries;
}

Result<std::vector<MountEntry>> read_mount_table(const std::string& file) {
    const UniqueFd fd{open(file.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!fd) return fail(fmt::format("cannot read {}: {}", file, errno_text(errno)));
    std::string text;
    std::array<char, 16384> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): read() fills it
    while (text.size() < kMaxTableBytes) {
        const ssize_t got = read(fd.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(fmt::format("cannot read {}: {}", file, errno_text(errno)));
        if (got == 0) break;
        text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return parse_mount_table(text);
}

bool is_at_or_below(std::string_view path, std::string_view directory) noexcept {
    return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

}  // namespace brokerd
