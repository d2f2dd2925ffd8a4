#include "daemon/config/answer_timeouts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <string_view>

#include "common/capability.h"
#include "common/plugin_name.h"

namespace brokerd {
namespace {

constexpr std::string_view kDigits = "0123456789";

std::string_view trim(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool is_capitalised_word(std::string_view text) {
    const auto is_letter_or_digit = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    return !text.empty() && text.front() >= 'A' && text.front() <= 'Z' && std::ranges::all_of(text, is_letter_or_digit);
}

bool looks_like_method(std::string_view text) {
    const std::size_t dot = text.find('.');
    return dot != std::string_view::npos && is_capitalised_word(text.substr(0, dot)) &&
           is_capitalised_word(text.substr(dot + 1));
}

Result<AnswerTimeouts::Limit> parse_seconds(std::string_view text) {
    const auto wrong = [&] {
        constexpr auto longest = std::chrono::duration_cast<std::chrono::seconds>(AnswerTimeouts::kLongest);
        return fail(
            fmt::format("\"{}\" is not a number of seconds; write 0.1 to {}, such as 30 or 0.5, or 0 for no deadline",
                        escaped(text, 40), longest.count()));
    };
    // from_chars alone would also take "inf", "1e3" and "-1".
    const std::size_t whole = std::min(text.find_first_not_of(kDigits), text.size());
    const std::string_view rest = text.substr(whole);
    if (whole == 0 || (!rest.empty() && (rest.size() == 1 || rest.front() != '.' ||
                                         rest.find_first_not_of(kDigits, 1) != std::string_view::npos)))
        return wrong();
    double seconds = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), seconds).ec != std::errc{} ||
        seconds > std::chrono::duration<double>{AnswerTimeouts::kLongest}.count())
        return wrong();
    const AnswerTimeouts::Limit limit{std::llround(seconds * 1000)};
    if (seconds > 0 && limit < AnswerTimeouts::kShortest) return wrong();
    return limit;
}

/// Takes in the limit for `name`: PLUGIN or PLUGIN/Capability.Method.
std::optional<Error> set_limit(AnswerTimeouts& timeouts, std::string_view name, AnswerTimeouts::Limit limit) {
    const std::size_t slash = name.rfind('/');
    const std::string_view last = slash == std::string_view::npos ? name : name.substr(slash + 1);
    const bool is_known = is_known_capability(capability_of_method(last));
    if (slash == std::string_view::npos && is_known)
        return Error{fmt::format("it names a method but no plugin; write PLUGIN/{}=SECONDS", last)};
    const bool is_method = slash != std::string_view::npos && looks_like_method(last);
    if (is_method && !is_known)
        return Error{fmt::format("no plugin is called by \"{}\"; write a method such as VolumeDriver.Mount", last)};
    const auto plugin = PluginName::parse(is_method ? name.substr(0, slash) : name);
    if (!plugin) return plugin.error();
    AnswerTimeouts::OfPlugin& its = timeouts.plugins[plugin->str()];
    if (is_method) {
        its.methods[std::string{last}] = limit;
    } else {
        its.general = limit;
    }
    return std::nullopt;
}

}  // namespace

Result<AnswerTimeouts> AnswerTimeouts::parse(const std::vector<std::string>& values) {
    AnswerTimeouts timeouts;
    std::set<std::string_view> seen;
    for (const std::string& value : values) {
        const auto wrong = [&](const Error& error) {
            return fail(fmt::format("answer-timeout \"{}\": {}", escaped(value, 300), error.message));
        };
        const std::size_t equals = value.rfind('=');
        const bool is_general = equals == std::string::npos;
        const std::string_view name = is_general ? std::string_view{} : trim(std::string_view{value}.substr(0, equals));
        const auto limit = parse_seconds(trim(is_general ? value : std::string_view{value}.substr(equals + 1)));
        if (!limit) return wrong(limit.error());
        if (!seen.insert(name).second) return wrong(Error{"it is given twice; remove the one that is not meant"});
        if (is_general) {
            timeouts.general = *limit;
        } else if (const auto error = set_limit(timeouts, name, *limit)) {
            return wrong(*error);
        }
    }
    return timeouts;
}

}  // namespace brokerd
