#include "daemon/registry/auth_challenge.h"

#include <algorithm>

#include "daemon/http/characters.h"

namespace brokerd {
namespace {

constexpr std::size_t kMaxValueBytes = 8192;
constexpr std::size_t kMaxChallenges = 8;
constexpr std::size_t kMaxParams = 16;

std::string lower(std::string_view text) {
    std::string result{text};
    std::transform(result.begin(), result.end(), result.begin(), to_lower);
    return result;
}

/// Reads challenges from the front of `rest_`. The grammar's difficulty: a comma separates both parameters and
/// challenges, so what follows one is a parameter where a "=" comes next, and a scheme otherwise.
class ChallengeReader {
public:
    explicit ChallengeReader(std::string_view text) : rest_{text} {}

    bool read(std::vector<AuthChallenge>& challenges) {
        for (;;) {
            skip_separators();
            if (rest_.empty()) return !challenges.empty();
            const std::string_view name = token();
            if (name.empty()) return false;
            const std::string_view before = rest_;
            skip_blanks();
            if (rest_.starts_with('=') && !challenges.empty()) {
                if (!read_param(name, challenges.back())) return false;
            } else {
                rest_ = before;
                if (challenges.size() == kMaxChallenges) return false;
                challenges.push_back({lower(name), {}});
                if (!read_first(challenges.back())) return false;
            }
            skip_blanks();
            if (!rest_.empty() && rest_.front() != ',') return false;
        }
    }

private:
    void skip_blanks() {
        while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) rest_.remove_prefix(1);
    }
    void skip_separators() {
        while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t' || rest_.front() == ','))
            rest_.remove_prefix(1);
    }
    std::string_view token() {
        const std::size_t size = span_of(rest_, kTokenCharacter);
        const std::string_view taken = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return taken;
    }

    /// What may follow a scheme after a blank: a token68, which is skipped (no scheme of ours has one), or a parameter.
    bool read_first(AuthChallenge& challenge) {
        if (rest_.empty() || rest_.front() == ',') return true;
        if (rest_.front() != ' ') return false;
        skip_blanks();
        if (rest_.empty() || rest_.front() == ',') return true;
        const std::string_view whole = rest_;
        const std::string_view name = token();
        const bool may_be_token68 = !rest_.starts_with(' ') && !rest_.starts_with('\t') && is_token68(whole);
        skip_blanks();
        if (!name.empty() && rest_.starts_with('=') && !may_be_token68) return read_param(name, challenge);
        rest_ = whole;
        if (!is_token68(whole)) return false;
        rest_.remove_prefix(std::min(whole.find_first_of(" \t,"), whole.size()));
        return true;
    }

    static bool is_token68(std::string_view text) {
        text = text.substr(0, text.find_first_of(" \t,"));
        while (text.ends_with('=')) text.remove_suffix(1);
        return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
            return (is_of(c, kTokenCharacter) && std::string_view{"!#$%&'*^`|"}.find(c) == std::string_view::npos) ||
                   c == '/';
        });
    }

    /// "=" value, with blanks around the "=" (RFC 9110 11.2: BWS).
    bool read_param(std::string_view name, AuthChallenge& challenge) {
        rest_.remove_prefix(1);
        skip_blanks();
        std::string value;
        if (rest_.starts_with('"')) {
            if (!quoted(value)) return false;
        } else {
            value = token();
            if (value.empty()) return false;
        }
        std::string key = lower(name);
        const bool twice = std::any_of(challenge.params.begin(), challenge.params.end(),
                                       [&key](const auto& param) { return param.first == key; });
        if (twice || challenge.params.size() == kMaxParams) return false;
        challenge.params.emplace_back(std::move(key), std::move(value));
        return true;
    }

    bool quoted(std::string& value) {
        for (std::size_t at = 1; at < rest_.size(); ++at) {
            char c = rest_[at];
            if (c == '"') {
                rest_.remove_prefix(at + 1);
                return true;
            }
            if (c == '\\' && ++at < rest_.size()) c = rest_[at];
            if (!is_of(c, kValueCharacter)) return false;
            value += c;
        }
        return false;
    }

    std::string_view rest_;
};

}  // namespace

std::string_view AuthChallenge::param(std::string_view name) const {
    for (const auto& [key, value] : params) {
        if (key == name) return value;
    }
    return {};
}

std::optional<std::vector<AuthChallenge>> parse_challenges(std::string_view value) {
    std::vector<AuthChallenge> challenges;
    if (value.size() > kMaxValueBytes || !ChallengeReader{value}.read(challenges)) return std::nullopt;
    return challenges;
}

}  // namespace brokerd
