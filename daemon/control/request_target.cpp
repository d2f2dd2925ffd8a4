#include "daemon/control/request_target.h"

#include <algorithm>

namespace brokerd {
namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool is_control(unsigned char c) {
    return c < 0x20 || c == 0x7f;
}

/// In queries "+" is a space: what HTML forms, and so most client libraries, write.
std::optional<std::string> form_decoded(std::string_view text) {
    std::string spaced{text};
    std::replace(spaced.begin(), spaced.end(), '+', ' ');
    return percent_decoded(spaced);
}

}  // namespace

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string decoded;
    decoded.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            decoded += text[i];
            continue;
        }
        if (text.size() - i < 3) return std::nullopt;
        const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
        if (high < 0 || low < 0 || is_control(static_cast<unsigned char>(high * 16 + low))) return std::nullopt;
        decoded += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return decoded;
}

Result<RequestTarget> parse_request_target(std::string_view text) {
    if (!text.starts_with('/')) return fail(Error{"the request target must be a path"});
    const std::size_t question_mark = std::min(text.find('?'), text.size());
    RequestTarget target;
    target.path = text.substr(0, question_mark);
    if (!percent_decoded(target.path)) return fail(Error{"the path has a bad percent escape"});
    std::string_view query = text.substr(std::min(question_mark + 1, text.size()));
    while (!query.empty()) {
        const std::string_view pair = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(pair.size() + 1, query.size()));
        if (pair.empty()) continue;
        const std::size_t equals = std::min(pair.find('='), pair.size());
        auto key = form_decoded(pair.substr(0, equals));
        auto value = form_decoded(pair.substr(std::min(equals + 1, pair.size())));
        if (!key || !value) return fail(Error{"the query has a bad percent escape"});
        target.query.emplace(std::move(*key), std::move(*value));
    }
    return target;
}

}  // namespace brokerd
