#include "daemon/http/authority.h"

#include <algorithm>

#include "daemon/http/characters.h"

namespace brokerd {
namespace {

/// RFC 3986 3.2.2: unreserved, sub-delims and %XX.
bool is_reg_name(std::string_view host) noexcept {
    while (!host.empty()) {
        host.remove_prefix(span_of(host, kRegNameCharacter));
        if (host.empty()) break;
        if (host.size() < 3 || host[0] != '%' || hex_value(host[1]) < 0 || hex_value(host[2]) < 0) return false;
        host.remove_prefix(3);
    }
    return true;
}

bool is_address_character(char c) noexcept {
    return hex_value(c) >= 0 || c == ':' || c == '.' || c == 'v';
}

}  // namespace

bool is_host_and_port(std::string_view text) noexcept {
    std::string_view port;
    if (text.starts_with('[')) {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos) return false;
        const std::string_view literal = text.substr(1, close - 1);
        if (literal.empty() || !std::all_of(literal.begin(), literal.end(), is_address_character)) return false;
        port = text.substr(close + 1);
    } else {
        const std::size_t colon = std::min(text.find(':'), text.size());
        if (!is_reg_name(text.substr(0, colon))) return false;
        port = text.substr(colon);
    }
    return port.empty() || (port.front() == ':' && std::all_of(port.begin() + 1, port.end(), is_digit));
}

std::string_view without_authority(std::string_view target) noexcept {
    static constexpr std::string_view kScheme = "http://";
    if (!equals_lower(target.substr(0, kScheme.size()), kScheme)) return target;
    const std::size_t path = target.find('/', kScheme.size());
    if (path == std::string_view::npos || path == kScheme.size()) return target;
    return is_host_and_port(target.substr(kScheme.size(), path - kScheme.size())) ? target.substr(path) : target;
}

}  // namespace brokerd
