#include "cli/process/ssh_address.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "common/secrets.h"

namespace brokerd::cli {
namespace {

constexpr std::string_view kScheme = "ssh://";

bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// Whether `text` has only letters, digits and `others`, and does not look like an option.
bool is_plain(std::string_view text, std::string_view others) {
    return !text.empty() && text.front() != '-' && std::all_of(text.begin(), text.end(), [&](char c) {
        return is_letter_or_digit(c) || others.find(c) != std::string_view::npos;
    });
}

Failure<Error> bad(std::string_view text, std::string_view reason) {
    return fail(fmt::format("cannot use {}: {}; write ssh://[USER@]HOST[:PORT][/SOCKET]", shown_address(text), reason));
}

std::optional<std::uint16_t> port_of(std::string_view digits) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc{} || end != digits.data() + digits.size() || port == 0) return std::nullopt;
    return port;
}

/// Takes "HOST" or "[ADDRESS]" from the front of `rest`; nothing where there is neither.
std::optional<std::string> take_host(std::string_view& rest) {
    const bool bracketed = !rest.empty() && rest.front() == '[';
    const std::size_t end = bracketed ? rest.find(']') : std::min(rest.find(':'), rest.size());
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view host = rest.substr(bracketed ? 1 : 0, end - (bracketed ? 1 : 0));
    rest.remove_prefix(end + (bracketed ? 1 : 0));
    if (!is_plain(host, bracketed ? ":.%" : "._-")) return std::nullopt;
    return std::string{host};
}

}  // namespace

Result<SshAddress> SshAddress::parse(std::string_view text) {
    SshAddress address;
    if (text.substr(0, kScheme.size()) != kScheme) return bad(text, "it does not begin with ssh://");
    std::string_view rest = text.substr(kScheme.size());
    if (const std::size_t slash = rest.find('/'); slash != std::string_view::npos) {
        const std::string_view path = rest.substr(slash);
        if (path != "/" && !is_plain(path, "/._-+:@=,")) {
            return bad(text, "of a socket's path only letters, digits and /._-+:@=, can be passed on");
        }
        if (path != "/") address.socket_path = path;
        rest = rest.substr(0, slash);
    }
    if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
        const std::string_view user = rest.substr(0, at);
        if (user.find(':') != std::string_view::npos) return bad(text, "it has a password, which ssh asks for itself");
        if (!is_plain(user, "._-+@")) return bad(text, "that is no user name");
        address.user = user;
        rest.remove_prefix(at + 1);
    }
    auto host = take_host(rest);
    if (!host) return bad(text, "that is no host name");
    address.host = std::move(*host);
    if (rest.empty()) return address;
    address.port = rest.front() == ':' ? port_of(rest.substr(1)) : std::nullopt;
    if (!address.port) return bad(text, "that is no port");
    return address;
}

std::vector<std::string> ssh_command(const SshAddress& address, SshUse use) {
    const bool completes = use == SshUse::completion;
    // No terminal there: it would change bytes. A host that does not answer is given up, as docker does; one that goes
    // away later, after three questions. Of what is said twice ssh takes the first, and the command line before its
    // files (ssh_config(5)): so a user's own value of these does not count. The default of ServerAliveInterval is
    // "never", and to look for another one first would take an ssh -G each time.
    std::vector<std::string> words{
        "ssh", "-T", "-o", completes ? "ConnectTimeout=3" : "ConnectTimeout=30", "-o", "ServerAliveInterval=30"};
    if (completes) words.insert(words.end(), {"-o", "BatchMode=yes"});
    if (!address.user.empty()) words.insert(words.end(), {"-l", address.user});
    if (address.port) words.insert(words.end(), {"-p", fmt::format("{}", *address.port)});
    words.insert(words.end(), {"--", address.host, "pluginctl"});
    if (!address.socket_path.empty()) words.insert(words.end(), {"-H", "unix://" + address.socket_path});
    words.emplace_back("dial-stdio");
    return words;
}

}  // namespace brokerd::cli
