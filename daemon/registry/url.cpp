#include "daemon/registry/url.h"

#include <algorithm>
#include <charconv>
#include <vector>

namespace brokerd {
namespace {

constexpr std::size_t kMaxUrlBytes = 8192;
constexpr std::size_t kMaxHostBytes = 255;

bool is_visible(char c) {
    return c > 0x20 && c < 0x7f;
}

bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string lower(std::string_view text) {
    std::string result{text};
    for (char& c : result) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    }
    return result;
}

/// A name of letters, digits, "-", "_" and single dots within: also safe as a directory's name.
bool is_host_name(std::string_view host) {
    if (host.empty() || host.size() > kMaxHostBytes || host.front() == '.') return false;
    if (host.find("..") != host.npos) return false;
    return std::all_of(host.begin(), host.end(),
                       [](char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

bool is_ipv6(std::string_view host) {
    return host.size() <= 45 && host.find(':') != host.npos && std::all_of(host.begin(), host.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' ||
                      c == '.';
           });
}

bool read_port(std::string_view text, std::uint16_t& port) {
    unsigned number = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || code != std::errc{} || end != text.data() + text.size() || number == 0 || number > 65535)
        return false;
    port = static_cast<std::uint16_t>(number);
    return true;
}

bool read_authority(std::string_view authority, Url& url) {
    std::string_view host = authority;
    std::string_view port;
    if (authority.starts_with('[')) {
        const std::size_t end = authority.find(']');
        if (end == authority.npos) return false;
        host = authority.substr(1, end - 1);
        port = authority.substr(end + 1);
        if (!is_ipv6(host)) return false;
    } else {
        const std::size_t colon = authority.find(':');
        host = authority.substr(0, colon);
        if (colon != authority.npos) port = authority.substr(colon);
        if (!is_host_name(host)) return false;
    }
    url.host = lower(host);
    url.port = url.https ? 443 : 80;
    if (port.empty()) return true;
    return port.front() == ':' && read_port(port.substr(1), url.port);
}

enum class UserInfo { refused, accepted };

/// What follows "scheme://".
std::optional<Url> read_rest(bool https, std::string_view rest, UserInfo user_info) {
    Url url;
    url.https = https;
    const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
    std::string_view authority = rest.substr(0, end);
    if (const std::size_t at = authority.rfind('@'); at != authority.npos) {
        if (user_info == UserInfo::refused) return std::nullopt;
        url.user_info = authority.substr(0, at);
        authority.remove_prefix(at + 1);
    }
    if (!read_authority(authority, url)) return std::nullopt;
    url.target = rest.substr(end);
    if (!url.target.starts_with('/')) url.target.insert(0, 1, '/');
    return url;
}

std::optional<Url> read_url(std::string_view text, UserInfo user_info) {
    text = text.substr(0, text.find('#'));
    if (text.size() > kMaxUrlBytes || !std::all_of(text.begin(), text.end(), is_visible)) return std::nullopt;
    const std::size_t scheme_end = text.find("://");
    if (scheme_end == text.npos) return std::nullopt;
    const std::string scheme = lower(text.substr(0, scheme_end));
    if (scheme != "http" && scheme != "https") return std::nullopt;
    return read_rest(scheme == "https", text.substr(scheme_end + 3), user_info);
}

/// RFC 3986 5.2.4, for a path that begins with '/'.
std::string without_dot_segments(std::string_view path) {
    std::vector<std::string_view> kept;
    bool ends_open = false;
    for (std::size_t at = 0; at < path.size();) {
        const std::size_t end = std::min(path.find('/', at + 1), path.size());
        const std::string_view segment = path.substr(at + 1, end - at - 1);
        ends_open = segment == "." || segment == "..";
        if (segment == "..") {
            if (!kept.empty()) kept.pop_back();
        } else if (segment != ".") {
            kept.push_back(segment);
        }
        at = end;
    }
    std::string result;
    for (const std::string_view segment : kept) result.append("/").append(segment);
    if (ends_open || result.empty()) result += '/';
    return result;
}

}  // namespace

std::optional<Url> Url::parse(std::string_view text) {
    return read_url(text, UserInfo::refused);
}

std::optional<Url> Url::parse_proxy(std::string_view text) {
    const bool has_scheme = text.find("://") != text.npos;
    auto url = read_url(has_scheme ? std::string{text} : "http://" + std::string{text}, UserInfo::accepted);
    if (url && url->https) return std::nullopt;
    return url;
}

std::optional<Url> Url::of_authority(bool https, std::string_view authority) {
    Url url;
    url.https = https;
    if (!read_authority(authority, url)) return std::nullopt;
    return url;
}

std::optional<Url> Url::resolve(std::string_view location) const {
    location = location.substr(0, location.find('#'));
    if (location.size() > kMaxUrlBytes || !std::all_of(location.begin(), location.end(), is_visible))
        return std::nullopt;
    const std::size_t colon = location.find(':');
    if (colon < location.find_first_of("/?")) return parse(location);
    if (location.starts_with("//")) return read_rest(https, location.substr(2), UserInfo::refused);
    Url url = *this;
    url.user_info.clear();
    const std::string_view base_path = std::string_view{target}.substr(0, target.find('?'));
    if (location.empty()) return url;
    if (location.starts_with('?')) {
        url.target = std::string{base_path}.append(location);
        return url;
    }
    const std::size_t query = std::min(location.find('?'), location.size());
    std::string path{location.substr(0, query)};
    if (!path.starts_with('/')) path.insert(0, base_path.substr(0, base_path.rfind('/') + 1));
    url.target = without_dot_segments(path).append(location.substr(query));
    return url;
}

Url Url::with_target(std::string other) const {
    Url url = *this;
    url.target = std::move(other);
    return url;
}

std::string Url::authority() const {
    if (port == (https ? 443 : 80)) return host.find(':') == host.npos ? host : '[' + host + ']';
    return host_and_port();
}

std::string Url::host_and_port() const {
    const std::string name = host.find(':') == host.npos ? host : '[' + host + ']';
    return name + ':' + std::to_string(port);
}

std::string query_value(std::string_view text) {
    static constexpr std::string_view kDigits = "0123456789ABCDEF";
    std::string result;
    for (const char c : text) {
        if (is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~') {
            result += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            result += '%';
            result += kDigits[byte >> 4U];
            result += kDigits[byte & 15U];
        }
    }
    return result;
}

}  // namespace brokerd
