#include "daemon/control/api_version.h"

#include <algorithm>
#include <charconv>
#include <compare>

#include "daemon/control/error_reply.h"

namespace brokerd::api_version {
namespace {

/// Longer numbers are no version.
constexpr std::size_t kMaxDigits = 4;

bool is_number(std::string_view text) {
    return !text.empty() && text.size() <= kMaxDigits &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

int number(std::string_view text) {
    int value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

std::strong_ordering compare(std::string_view left, std::string_view right) {
    const std::size_t left_dot = left.find('.'), right_dot = right.find('.');
    const auto major = number(left.substr(0, left_dot)) <=> number(right.substr(0, right_dot));
    return major != 0 ? major : number(left.substr(left_dot + 1)) <=> number(right.substr(right_dot + 1));
}

}  // namespace

VersionedPath split(std::string_view path) {
    const std::size_t end = path.find('/', 1);
    if (!path.starts_with("/v") || end == path.npos) return {{}, path};
    const std::string_view version = path.substr(2, end - 2);
    const std::size_t dot = version.find('.');
    if (dot == version.npos || !is_number(version.substr(0, dot)) || !is_number(version.substr(dot + 1))) {
        return {{}, path};
    }
    return {version, path.substr(end)};
}

std::optional<ControlReply> refusal(std::string_view version) {
    if (compare(version, kOldest) < 0) return error_reply::api_too_old(version, kOldest);
    if (compare(version, kNewest) > 0) return error_reply::api_too_new(version, kNewest);
    return std::nullopt;
}

}  // namespace brokerd::api_version
