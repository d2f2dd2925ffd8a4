#include "common/secrets.h"

#include <algorithm>
#include <array>
#include <vector>

namespace brokerd {
namespace {

bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}

bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// The words of a name, in small letters: "dbPassword2", "DB_PASSWORD-2" → db, password, 2.
std::vector<std::string> words_of(std::string_view name) {
    std::vector<std::string> words;
    char before = '_';
    for (const char c : name) {
        const bool begins = is_upper(c) && is_lower(before);
        if (is_upper(c) || is_lower(c) || is_digit(c)) {
            const bool continues = is_upper(before) || is_lower(before) || is_digit(before);
            if (!continues || begins) words.emplace_back();
            words.back() += is_upper(c) ? static_cast<char>(c | 0x20) : c;
        }
        before = c;
    }
    return words;
}

/// Found anywhere in a word, which may be several that nothing separates ("dbpassword", "accesstoken").
constexpr std::array<std::string_view, 6> kTelling{"password", "passwd", "passphrase", "secret", "token", "credential"};
/// A word of its own, or its end.
constexpr std::array<std::string_view, 3> kEndings{"key", "keys", "pass"};
/// Only as a word of its own.
constexpr std::array<std::string_view, 4> kWords{"pw", "pwd", "auth", "cred"};
/// The last word of what says where a secret is.
constexpr std::array<std::string_view, 4> kPlaces{"file", "path", "dir", "directory"};

bool is_telling(const std::string& word) {
    return std::any_of(kTelling.begin(), kTelling.end(),
                       [&](std::string_view part) { return word.find(part) != word.npos; }) ||
           std::any_of(kEndings.begin(), kEndings.end(), [&](std::string_view end) { return word.ends_with(end); }) ||
           std::find(kWords.begin(), kWords.end(), word) != kWords.end();
}

/// Where the address at the beginning of `rest` ends.
std::size_t end_of_address(std::string_view rest) {
    return std::min(rest.find_first_of(" \t\r\n\"'<>"), rest.size());
}

/// How much of `address`, without its scheme, is somebody's name and password, without the "@"; npos for nothing.
std::size_t user_info_end(std::string_view address) {
    const std::size_t host_end = std::min(address.find_first_of("/?#"), address.size());
    if (const std::size_t at = address.substr(0, host_end).rfind('@'); at != address.npos) return at;
    // A password with a "/" in it, which would have to be written as %2F, unless what stands there is a port.
    const std::size_t colon = address.substr(0, host_end).find(':');
    if (colon == address.npos) return address.npos;
    const std::string_view port = address.substr(colon + 1, host_end - colon - 1);
    if (!port.empty() && std::all_of(port.begin(), port.end(), is_digit)) return address.npos;
    return address.rfind('@');
}

/// `rest`, which follows "://", with a password in it hidden.
std::string without_password(std::string_view rest, bool is_ssh) {
    const std::size_t end = user_info_end(rest);
    if (end == rest.npos) return std::string{rest};
    const std::size_t colon = rest.substr(0, end).find(':');
    std::string out;
    if (colon != rest.npos) out.append(rest.substr(0, colon + 1));
    out.append(colon == rest.npos && is_ssh ? rest.substr(0, end) : kHidden);
    return out.append(rest.substr(end));
}

std::string without_passwords(std::string_view text) {
    constexpr std::string_view kSeparator = "://";
    std::string out;
    for (;;) {
        const std::size_t found = text.find(kSeparator);
        if (found == text.npos) return out.append(text);
        const bool is_ssh = text.substr(0, found).ends_with("ssh");
        out.append(text.substr(0, found + kSeparator.size()));
        text.remove_prefix(found + kSeparator.size());
        const std::size_t end = end_of_address(text);
        out.append(without_password(text.substr(0, end), is_ssh));
        text.remove_prefix(end);
    }
}

}  // namespace

bool sounds_secret(std::string_view name) {
    const std::vector<std::string> words = words_of(name);
    // The shell's working directories.
    if (words.empty() || name == "PWD" || name == "OLDPWD") return false;
    if (std::find(kPlaces.begin(), kPlaces.end(), words.back()) != kPlaces.end()) return false;
    return std::any_of(words.begin(), words.end(), is_telling);
}

std::string without_secrets(std::string_view text) {
    constexpr std::string_view kBegin = "-----BEGIN ";
    constexpr std::string_view kKey = "PRIVATE KEY-----";
    const std::size_t begin = text.find(kBegin);
    if (begin != text.npos && text.find(kKey, begin) != text.npos) {
        return without_passwords(text.substr(0, begin)).append(kHidden);
    }
    return without_passwords(text);
}

std::string shown_address(std::string_view address) {
    const std::size_t separator = address.find("://");
    const std::size_t begin = separator == address.npos ? 0 : separator + 3;
    std::string shown{address.substr(0, begin)};
    return shown.append(without_password(address.substr(begin), shown == "ssh://"));
}

std::vector<std::string> shown_arguments(const std::vector<std::string>& arguments) {
    std::vector<std::string> shown;
    bool follows = false;  // an option whose name sounds secret
    for (const std::string& word : arguments) {
        const bool is_option = word.starts_with('-');
        shown.push_back(follows && !is_option ? std::string{kHidden} : shown_variable(word));
        follows = is_option && word.find('=') == word.npos && sounds_secret(word);
    }
    return shown;
}

bool is_shown_secret(std::string_view value) {
    const auto has = [value](std::string_view before, std::string_view after) {
        return value.find(std::string{before}.append(kHidden).append(after)) != value.npos;
    };
    return value == kHidden || has("=", "") || has(" ", "") || has("://", "@") || has(":", "@");
}

std::string without(std::string text, const std::vector<std::string>& secrets) {
    constexpr std::size_t kShortest = 4;
    for (const std::string& secret : secrets) {
        if (secret.size() < kShortest) continue;
        for (std::size_t at = text.find(secret); at != text.npos; at = text.find(secret, at + kHidden.size())) {
            text.replace(at, secret.size(), kHidden);
        }
    }
    return text;
}

std::string shown_variable(std::string_view variable) {
    const std::size_t equals = variable.find('=');
    if (equals == variable.npos) return without_secrets(variable);
    if (equals + 1 == variable.size()) return std::string{variable};
    const std::string_view name = variable.substr(0, equals);
    const std::string shown = sounds_secret(name) ? std::string{kHidden} : without_secrets(variable.substr(equals + 1));
    return std::string{name}.append("=").append(shown);
}

}  // namespace brokerd
