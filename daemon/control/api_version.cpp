#include "daemon/control/api_version.h"

#include <algorithm>
#include <charconv>
#include <compare>
#include <limits>
#include <system_error>

#include "daemon/control/error_reply.h"

namespace brokerd::api_version {
namespace {

/// The number at the front of `version`, which is cut off with its dot; 0 where there is none. What is too large for
/// a number is as large as one can be.
int take_number(std::string_view& version) {
    const std::string_view text = version.substr(0, version.find('.'));
    version.remove_prefix(std::min(text.size() + 1, version.size()));
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc::result_out_of_range ? std::numeric_limits<int>::max() : value;
}

std::strong_ordering compare(std::string_view left, std::string_view right) {
    while (!left.empty() || !right.empty()) {
        const auto order = take_number(left) <=> take_number(right);
        if (order != 0) return order;
    }
    return std::strong_ordering::equal;
}

}  // namespace

VersionedPath split(std::string_view path) {
    const std::size_t end = path.find('/', 1);
    if (!path.starts_with("/v") || end == path.npos) return {{}, path};
    const std::string_view version = path.substr(2, end - 2);
    if (version.empty() || version.find_first_not_of("0123456789.") != version.npos) return {{}, path};
    return {version, path.substr(end)};
}

std::optional<ControlReply> refusal(std::string_view version) {
    if (compare(version, kOldest) < 0) return error_reply::api_too_old(version, kOldest);
    if (compare(version, kNewest) > 0) return error_reply::api_too_new(version, kNewest);
    return std::nullopt;
}

}  // namespace brokerd::api_version
