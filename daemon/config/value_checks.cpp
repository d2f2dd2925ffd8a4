#include "daemon/config/value_checks.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "common/letter_case.h"
#include "common/plugin_name.h"
#include "common/secrets.h"

namespace brokerd {
namespace {

/// A whole number in decimal digits, at most `most`.
bool is_number(std::string_view text, unsigned most) {
    unsigned value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    return !text.empty() && code == std::errc{} && end == text.data() + text.size() && value <= most;
}

bool is_address(int family, std::string_view text) {
    std::array<unsigned char, 16> bytes{};
    if (text.find('\0') != std::string_view::npos) return false;  // where inet_pton() would end
    return inet_pton(family, std::string{text}.c_str(), bytes.data()) == 1;
}

bool is_network(std::string_view text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) return false;
    const std::string_view address = text.substr(0, slash);
    const std::string_view bits = text.substr(slash + 1);
    return (is_address(AF_INET, address) && is_number(bits, 32)) ||
           (is_address(AF_INET6, address) && is_number(bits, 128));
}

bool is_host_character(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
           c == '_';
}

/// HOST, HOST:PORT, [IPV6], [IPV6]:PORT.
bool is_authority(std::string_view text) {
    std::string_view port;
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == std::string_view::npos || !is_address(AF_INET6, text.substr(1, end - 1))) return false;
        port = text.substr(end + 1);
    } else {
        const std::size_t end = std::min(text.find(':'), text.size());
        const std::string_view host = text.substr(0, end);
        if (host.empty() || !std::all_of(host.begin(), host.end(), is_host_character)) return false;
        port = text.substr(end);
    }
    return port.empty() || (port.front() == ':' && is_number(port.substr(1), 65535));
}

}  // namespace

std::string check_absolute(const std::string& path) {
    return !path.empty() && path.front() == '/' ? std::string{}
                                                : fmt::format("{} is not an absolute path", escaped(path, 200));
}

std::string check_not_empty(const std::string& value) {
    return value.empty() ? "it is empty; write a name, or leave the setting out" : "";
}

std::string check_boolean(const std::string& value) {
    constexpr std::array<std::string_view, 10> kWords{"true", "false",  "yes",     "no", "on",
                                                      "off",  "enable", "disable", "1",  "0"};
    const bool is_known = std::any_of(kWords.begin(), kWords.end(),
                                      [&](std::string_view word) { return equals_ignoring_case(value, word); });
    return is_known ? "" : fmt::format("\"{}\" is neither true nor false", escaped(value, 100));
}

std::string check_registry(const std::string& value) {
    if (is_network(value) || is_authority(value)) return {};
    return fmt::format("\"{}\" is no registry; write HOST, HOST:PORT or ADDRESS/BITS",
                       escaped(shown_address(value), 100));
}

std::string check_mirror(const std::string& value) {
    std::string_view rest = value;
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (!rest.starts_with(scheme)) continue;
        rest.remove_prefix(scheme.size());
        if (rest.ends_with('/')) rest.remove_suffix(1);
        if (is_authority(rest)) return {};
    }
    return fmt::format("\"{}\" is no mirror; write http://HOST[:PORT] or https://HOST[:PORT]",
                       escaped(shown_address(value), 100));
}

}  // namespace brokerd
