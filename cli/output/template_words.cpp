#include "cli/output/template_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace brokerd::cli::template_syntax {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

std::string with_escapes(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char next = text[i] == '\\' && i + 1 < text.size() ? text[i + 1] : '\0';
        if (next == 't' || next == 'n') {
            out += next == 't' ? '\t' : '\n';
            ++i;
        } else {
            out += text[i];
        }
    }
    return out;
}

std::string_view without_blanks_before(std::string_view text) {
    return text.substr(std::min(text.find_first_not_of(kBlanks), text.size()));
}

std::string_view without_blanks_after(std::string_view text) {
    return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

bool is_blank(char c) {
    return kBlanks.find(c) != std::string_view::npos;
}

/// Where the action that begins at `text` ends: the first }} outside of quotes.
std::size_t end_of_action(std::string_view text) {
    char quote = '\0';
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (quote != '\0') {
            if (text[i] == '\\' && quote == '"')
                ++i;
            else if (text[i] == quote)
                quote = '\0';
        } else if (text[i] == '"' || text[i] == '`') {
            quote = text[i];
        } else if (text.substr(i, 2) == "}}") {
            return i;
        }
    }
    return std::string_view::npos;
}

bool is_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

class Reader {
public:
    explicit Reader(std::string_view text) : rest_{text} {}

    Result<std::vector<Word>> all() {
        std::vector<Word> words;
        for (;;) {
            rest_ = without_blanks_before(rest_);
            auto word = next();
            if (!word) return fail(word.error());
            words.push_back(std::move(*word));
            if (words.back().kind == Word::Kind::end) return words;
        }
    }

private:
    using Kind = Word::Kind;

    Result<Word> next() {
        if (rest_.empty()) return Word{};
        const char c = rest_.front();
        if (c == '.' || c == '$') return chain();
        if (c == '"' || c == '`') return string();
        if (is_name_start(c)) return Word{Kind::name, take_name(), false, {}};
        if (is_digit(c) || (c == '-' && rest_.size() > 1 && is_digit(rest_[1]))) return number();
        if (rest_.substr(0, 2) == ":=") return sign(Kind::declare, 2);
        switch (c) {
            case '(':
                return sign(Kind::open, 1);
            case ')': {
                Word word = sign(Kind::close, 1);
                word.path = take_path();
                return word;
            }
            case '|':
                return sign(Kind::pipe, 1);
            case '=':
                return sign(Kind::assign, 1);
            case ',':
                return sign(Kind::comma, 1);
            default:
                return fail(fmt::format("cannot understand \"{}\" in a format", rest_));
        }
    }

    Word sign(Kind kind, std::size_t length) {
        rest_.remove_prefix(length);
        return Word{kind, {}, false, {}};
    }

    std::string take_name() {
        std::size_t end = 0;
        while (end < rest_.size() && (is_name_start(rest_[end]) || is_digit(rest_[end]))) ++end;
        const std::string name{rest_.substr(0, end)};
        rest_.remove_prefix(end);
        return name;
    }

    std::vector<std::string> take_path() {
        std::vector<std::string> path;
        while (rest_.size() > 1 && rest_.front() == '.' && is_name_start(rest_[1])) {
            rest_.remove_prefix(1);
            path.push_back(take_name());
        }
        return path;
    }

    Word chain() {
        Word word{Kind::chain, {}, rest_.front() == '$', {}};
        if (word.is_variable) {
            rest_.remove_prefix(1);
            word.text = take_name();
        }
        word.path = take_path();
        if (!word.is_variable && word.path.empty()) rest_.remove_prefix(1);  // the dot alone
        return word;
    }

    Word number() {
        std::size_t end = 1;
        while (end < rest_.size() && is_digit(rest_[end])) ++end;
        Word word{Kind::number, std::string{rest_.substr(0, end)}, false, {}};
        rest_.remove_prefix(end);
        return word;
    }

    Result<Word> string() {
        const char quote = rest_.front();
        std::string text;
        for (std::size_t i = 1; i < rest_.size(); ++i) {
            if (rest_[i] == quote) {
                rest_.remove_prefix(i + 1);
                return Word{Kind::string, std::move(text), false, {}};
            }
            if (rest_[i] != '\\' || quote == '`' || i + 1 == rest_.size()) {
                text += rest_[i];
                continue;
            }
            const char escaped = rest_[++i];
            if (escaped == 'n')
                text += '\n';
            else if (escaped == 't')
                text += '\t';
            else if (escaped == '"' || escaped == '\\')
                text += escaped;
            else
                return fail(fmt::format("cannot understand \\{} in a string of the format", escaped));
        }
        return fail("a string in the format has no end");
    }

    std::string_view rest_;
};

}  // namespace

Result<std::vector<Piece>> pieces_of(std::string_view text) {
    std::vector<Piece> out;
    bool trims = false;
    for (;;) {
        const std::size_t open = std::min(text.find("{{"), text.size());
        std::string_view before = text.substr(0, open);
        text.remove_prefix(open);
        const bool trims_before = text.size() > 3 && text[2] == '-' && is_blank(text[3]);
        if (std::exchange(trims, false)) before = without_blanks_before(before);
        if (trims_before) before = without_blanks_after(before);
        if (!before.empty()) out.push_back({false, with_escapes(before)});
        if (text.empty()) return out;

        text.remove_prefix(trims_before ? 3 : 2);
        const std::size_t close = end_of_action(text);
        if (close == std::string_view::npos) return fail("a {{ in the format has no }}");
        std::string_view action = text.substr(0, close);
        trims = action.size() > 1 && action.back() == '-' && is_blank(action[action.size() - 2]);
        if (trims) action.remove_suffix(1);
        action = without_blanks_after(without_blanks_before(action));
        const bool comment =
            action.size() >= 4 && action.substr(0, 2) == "/*" && action.substr(action.size() - 2) == "*/";
        if (!comment) out.push_back({true, std::string{action}});
        text.remove_prefix(close + 2);
    }
}

Result<std::vector<Word>> words_of(std::string_view action) {
    return Reader{action}.all();
}

}  // namespace brokerd::cli::template_syntax
