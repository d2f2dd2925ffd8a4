#include "cli/output/template_functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "cli/output/printable.h"
#include "common/json.h"

namespace brokerd::cli::template_syntax {
namespace {

using rapidjson::Value;

/// Ours: nobody wants more blanks or columns than that around a field.
constexpr std::int64_t kMaxPadding = 1000;

/// What a function is called with.
struct Arguments {
    std::span<const Argument> values;
    ListStyle style;
    Memory& memory;

    [[nodiscard]] std::size_t size() const { return values.size(); }
    [[nodiscard]] const Value& at(std::size_t index) const {
        static const Value kNothing;
        return index < values.size() ? *values[index].value : kNothing;
    }
    /// Whether the template itself says what the argument is.
    [[nodiscard]] bool own(std::size_t index) const { return index < values.size() && values[index].own; }
    [[nodiscard]] std::string text(std::size_t index) const { return text_of(at(index), style); }
    /// For text that is put together: the object's part of it is made printable now, so that the template's stays.
    [[nodiscard]] std::string shown_text(std::size_t index) const { return shown({&at(index), own(index)}, style); }
    [[nodiscard]] std::int64_t number(std::size_t index) const {
        return at(index).IsInt64() ? at(index).GetInt64() : 0;
    }
    [[nodiscard]] Value copy(std::size_t index) const { return Value{at(index), memory}; }
    [[nodiscard]] Value made(const std::string& text) const { return Value{text, memory}; }
};

std::string json_text(const Value& value) {
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    value.Accept(writer);
    return {buffer.GetString(), buffer.GetSize()};
}

template <int (*Convert)(int)>
std::string converted(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(c < 0x80 ? Convert(c) : c); });
    return text;
}

/// Every word with a capital; what is no letter, digit or underscore stands between words, as in Go's strings.Title.
std::string titled(std::string text) {
    bool first = true;
    for (char& c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (first && byte < 0x80) c = static_cast<char>(std::toupper(byte));
        first = byte < 0x80 && std::isalnum(byte) == 0 && c != '_';
    }
    return text;
}

/// Whether a byte goes on with the character that one before it has begun, in UTF-8.
bool is_continuation(char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

Value split(const Arguments& arguments) {
    const std::string text = arguments.text(0), separator = arguments.text(1);
    Value out{rapidjson::kArrayType};
    for (std::size_t start = 0; start <= text.size();) {
        std::size_t end = std::min(separator.empty() ? start + 1 : text.find(separator, start), text.size());
        while (separator.empty() && end < text.size() && is_continuation(text[end])) ++end;
        out.PushBack(arguments.made(text.substr(start, end - start)), arguments.memory);
        start = end + separator.size();
        if (end == text.size()) break;
    }
    return out;
}

std::string join(const Arguments& arguments) {
    const Value& list = arguments.at(0);
    if (!list.IsArray()) return arguments.shown_text(0);
    std::string out;
    for (const Value& item : list.GetArray()) {
        if (&item != list.Begin()) out += arguments.shown_text(1);
        out += shown({&item, arguments.own(0)}, arguments.style);
    }
    return out;
}

std::string padded(const Arguments& arguments) {
    const auto blanks = [&](std::size_t index) {
        return std::string(static_cast<std::size_t>(std::clamp<std::int64_t>(arguments.number(index), 0, kMaxPadding)),
                           ' ');
    };
    const std::string text = arguments.text(0);
    return text.empty() ? text : blanks(1) + text + blanks(2);
}

/// The first bytes of a text, but no half of a character.
std::string truncated(const Arguments& arguments) {
    std::string text = arguments.text(0);
    const std::int64_t length = std::max<std::int64_t>(arguments.number(1), 0);
    if (static_cast<std::uint64_t>(length) >= text.size()) return text;
    auto end = static_cast<std::size_t>(length);
    while (end > 0 && is_continuation(text[end])) --end;
    return text.substr(0, end);
}

Value length_of(const Value& value) {
    if (value.IsString()) return Value{std::uint64_t{value.GetStringLength()}};
    if (value.IsArray()) return Value{std::uint64_t{value.Size()}};
    return Value{std::uint64_t{value.IsObject() ? value.MemberCount() : 0}};
}

/// The item or member that the arguments behind the first lead to.
Value indexed(const Arguments& arguments) {
    const Value* value = &arguments.at(0);
    for (std::size_t i = 1; i < arguments.size(); ++i) {
        const Value& key = arguments.at(i);
        if (value->IsArray() && key.IsUint() && key.GetUint() < value->Size()) {
            value = &(*value)[key.GetUint()];
        } else if (value->IsObject() && key.IsString() && value->HasMember(key)) {
            value = &(*value)[key];
        } else {
            return {};
        }
    }
    return Value{*value, arguments.memory};
}

/// Negative, zero or positive; texts as bytes, numbers as such.
int compared(const Arguments& arguments, std::size_t left, std::size_t right) {
    const Value &a = arguments.at(left), &b = arguments.at(right);
    if (a.IsNumber() && b.IsNumber()) return a.GetDouble() < b.GetDouble() ? -1 : a.GetDouble() > b.GetDouble() ? 1 : 0;
    return arguments.text(left).compare(arguments.text(right));
}

bool equals_any(const Arguments& arguments) {
    for (std::size_t i = 1; i < arguments.size(); ++i) {
        if (compared(arguments, 0, i) == 0) return true;
    }
    return false;
}

std::string printed(const Arguments& arguments, bool as_line) {
    std::string out;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        // Go puts blanks between all for println, and between two that are no texts for print.
        const bool texts = i > 0 && (arguments.at(i).IsString() || arguments.at(i - 1).IsString());
        if (i > 0 && (as_line || !texts)) out += ' ';
        out += arguments.shown_text(i);
    }
    return as_line ? out + '\n' : out;
}

/// "%-10s": '-' or '0', a width, and one of the verbs s v d t q.
std::string formatted(const Arguments& arguments) {
    const std::string format = arguments.shown_text(0);
    std::string out;
    std::size_t used = 1;
    for (std::size_t i = 0; i < format.size(); ++i) {
        if (format[i] != '%') {
            out += format[i];
            continue;
        }
        const std::size_t end = format.find_first_not_of("-0123456789", i + 1);
        if (end == std::string::npos) return out + format.substr(i);
        const std::string flags = format.substr(i + 1, end - i - 1);
        i = end;
        if (format[end] == '%') {
            out += '%';
            continue;
        }
        if (std::string_view{"svdtq"}.find(format[end]) == std::string_view::npos || used >= arguments.size()) {
            out += fmt::format("%!{}", format[end]);  // as Go marks it
            continue;
        }
        const std::string text = format[end] == 'q' ? printable_json(json_text(arguments.made(arguments.text(used))))
                                                    : arguments.shown_text(used);
        ++used;
        const std::size_t digits = flags.find_first_of("123456789");
        const int width =
            digits == std::string::npos || flags.size() - digits > 3 ? 0 : std::stoi(flags.substr(digits));
        const std::string fill(
            static_cast<std::size_t>(width) > text.size() ? static_cast<std::size_t>(width) - text.size() : 0,
            flags.substr(0, 1) == "0" ? '0' : ' ');
        out += flags.substr(0, 1) == "-" ? text + fill : fill + text;
    }
    return out;
}

struct Function {
    std::string_view name;
    Value (*call)(const Arguments&);
    bool prints = false;  ///< what it makes is printable, but for what is the template's own
};

template <int Low, int High>
Value in_order(const Arguments& arguments) {
    const int order = compared(arguments, 0, 1);
    return Value{(order < 0 ? -1 : order > 0 ? 1 : 0) >= Low && (order < 0 ? -1 : order > 0 ? 1 : 0) <= High};
}

/// The first argument that counts as `wanted`, or the last.
template <bool Wanted>
Value first_that(const Arguments& arguments) {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        if (is_true(arguments.at(i)) == Wanted) return arguments.copy(i);
    }
    return arguments.size() == 0 ? Value{} : arguments.copy(arguments.size() - 1);
}

constexpr std::array kFunctions{
    Function{"and", first_that<false>},
    Function{"eq", [](const Arguments& a) { return Value{equals_any(a)}; }},
    Function{"ge", in_order<0, 1>},
    Function{"gt", in_order<1, 1>},
    Function{"index", indexed},
    Function{"join", [](const Arguments& a) { return a.made(join(a)); }, true},
    Function{"json", [](const Arguments& a) { return a.made(printable_json(json_text(a.at(0)))); }, true},
    Function{"le", in_order<-1, 0>},
    Function{"len", [](const Arguments& a) { return length_of(a.at(0)); }},
    Function{"lower", [](const Arguments& a) { return a.made(converted<std::tolower>(a.text(0))); }},
    Function{"lt", in_order<-1, -1>},
    Function{"ne", [](const Arguments& a) { return Value{!equals_any(a)}; }},
    Function{"not", [](const Arguments& a) { return Value{!is_true(a.at(0))}; }},
    Function{"or", first_that<true>},
    Function{"pad", [](const Arguments& a) { return a.made(padded(a)); }},
    Function{"print", [](const Arguments& a) { return a.made(printed(a, false)); }, true},
    Function{"printf", [](const Arguments& a) { return a.made(formatted(a)); }, true},
    Function{"println", [](const Arguments& a) { return a.made(printed(a, true)); }, true},
    Function{"split", split},
    Function{"title", [](const Arguments& a) { return a.made(titled(a.text(0))); }},
    Function{"truncate", [](const Arguments& a) { return a.made(truncated(a)); }},
    Function{"upper", [](const Arguments& a) { return a.made(converted<std::toupper>(a.text(0))); }},
};

constexpr auto kNames = [] {
    std::array<std::string_view, kFunctions.size()> names{};
    for (std::size_t i = 0; i < names.size(); ++i) names[i] = kFunctions[i].name;
    return names;
}();

const Function* find_function(std::string_view name) {
    const auto* found =
        std::find_if(kFunctions.begin(), kFunctions.end(), [&](const Function& one) { return one.name == name; });
    return found == kFunctions.end() ? nullptr : found;
}

}  // namespace

std::span<const std::string_view> function_names() {
    return kNames;
}

bool is_function(std::string_view name) {
    return find_function(name) != nullptr;
}

Outcome call_function(std::string_view name, std::span<const Argument> arguments, ListStyle style, Memory& memory) {
    const Function& function = *find_function(name);
    const bool own = std::all_of(arguments.begin(), arguments.end(), [](const Argument& one) { return one.own; });
    return {function.call({arguments, style, memory}), own || function.prints};
}

bool is_true(const Value& value) {
    if (value.IsBool()) return value.GetBool();
    if (value.IsNumber()) return value.GetDouble() != 0;
    return length_of(value).GetUint64() != 0;
}

std::string text_of(const Value& value, ListStyle style) {
    if (value.IsNull()) return {};
    if (value.IsString()) return {value.GetString(), value.GetStringLength()};
    if (!value.IsArray()) return json_text(value);
    std::string out;
    for (const Value& item : value.GetArray()) {
        if (&item != value.Begin()) out += style == ListStyle::commas ? ',' : ' ';
        out += text_of(item, style);
    }
    return style == ListStyle::commas ? out : '[' + out + ']';
}

std::string shown(const Argument& argument, ListStyle style) {
    std::string text = text_of(*argument.value, style);
    if (argument.own) return text;
    return argument.value->IsObject() ? printable_json(text) : printable(text);
}

}  // namespace brokerd::cli::template_syntax
