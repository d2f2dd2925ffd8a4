#include "daemon/discovery/address_advice.h"

#include <algorithm>
#include <array>

#include "common/endpoint.h"

namespace brokerd {
namespace {

/// Ours: longer than the longest address that parses, so nothing sensible is lost.
constexpr std::size_t kMaxAddress = 1024;

std::string without_blanks(std::string text) {
    std::erase_if(text, [](char c) { return c <= ' ' && c >= '\0'; });
    return text;
}

std::string with_lower_case_scheme(std::string text) {
    const auto end = std::min(text.find(':'), text.size());
    std::transform(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), text.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return text;
}

/// "unix:/run/x.sock", "unix://run/x.sock" and "/run/x.sock" are all meant to be unix:///run/x.sock.
std::string with_three_slashes(const std::string& text) {
    constexpr std::string_view kScheme = "unix:";
    const std::string_view rest = text.starts_with(kScheme) ? std::string_view{text}.substr(kScheme.size()) : text;
    if (rest.size() == text.size() && !rest.starts_with('/')) return text;
    const std::size_t path = std::min(rest.find_first_not_of('/'), rest.size());
    return "unix:///" + std::string{rest.substr(path)};
}

std::string with_scheme(const std::string& text) {
    return text.find("://") == std::string::npos ? "tcp://" + text : text;
}

std::string without_user_and_path(const std::string& text) {
    const std::size_t colon = text.find("://");
    if (colon == std::string::npos || text.starts_with("unix:")) return text;
    const std::size_t host = colon + 3;
    const std::string authority = text.substr(host, text.find_first_of("/?#", host) - host);
    return text.substr(0, host) + authority.substr(authority.rfind('@') + 1);
}

}  // namespace

std::string likely_address(std::string_view text) {
    if (text.size() > kMaxAddress) return {};
    // Each step repairs one mistake; an address may have several.
    std::string guess{text};
    for (const auto& step : {+[](const std::string& t) { return without_blanks(t); },
                             +[](const std::string& t) { return with_lower_case_scheme(t); },
                             +[](const std::string& t) { return with_three_slashes(t); },
                             +[](const std::string& t) { return with_scheme(t); },
                             +[](const std::string& t) { return without_user_and_path(t); }}) {
        guess = step(guess);
        if (Endpoint::parse(guess)) return guess;
    }
    return {};
}

std::string address_remedy(std::string_view text) {
    const std::string guess = likely_address(text);
    return guess.empty() ? "write unix:///run/NAME.sock, tcp://HOST:PORT or https://HOST:PORT" : "write " + guess;
}

}  // namespace brokerd
