#include "cli/output/printable.h"

#include <fmt/format.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/prettywriter.h>
#include <rapidjson/reader.h>
#include <rapidjson/stringbuffer.h>

#include <algorithm>

namespace brokerd::cli {
namespace {

/// Ours: deeper values are not for reading, and their indentation alone would fill the memory.
constexpr int kMaxIndentedDepth = 200;

struct Character {
    std::size_t bytes;  ///< 0: the text does not go on with UTF-8
    char32_t code;
};

/// The first character of `text` (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
Character first_character(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char lead = byte(0);
    if (lead < 0x80) return {1, lead};
    const std::size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes) return {0, 0};
    char32_t code = lead & (0xffu >> (bytes + 1));
    for (std::size_t i = 1; i < bytes; ++i) {
        if ((byte(i) & 0xc0u) != 0x80) return {0, 0};
        code = code << 6 | (byte(i) & 0x3fu);
    }
    const bool overlong = (bytes == 3 && code < 0x800) || (bytes == 4 && code < 0x10000);
    if (overlong || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return {0, 0};
    return {bytes, code};
}

/// Controls, and the format characters of Unicode's Bidi_Control property with the two line separators: what could
/// move the cursor, or show text in another order than it has.
bool is_obeyed(char32_t code) {
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x061c || code == 0x200e || code == 0x200f ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

void escape_bytes(std::string& out, std::string_view bytes) {
    for (const char c : bytes) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
}

std::string printable_except(std::string_view text, std::string_view allowed) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const Character character = first_character(text);
        const std::string_view bytes = text.substr(0, std::max<std::size_t>(character.bytes, 1));
        const bool harmless = character.bytes != 0 && !is_obeyed(character.code);
        if (harmless || allowed.find(bytes) != std::string_view::npos) {
            out += bytes;
        } else {
            escape_bytes(out, bytes);
        }
        text.remove_prefix(bytes.size());
    }
    return out;
}

/// Copies what the reader finds to a writer, until the nesting is too deep.
class Indenter : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, Indenter> {
public:
    using Size = rapidjson::SizeType;
    using Writer = rapidjson::PrettyWriter<rapidjson::StringBuffer>;

    explicit Indenter(Writer& writer) noexcept : writer_{writer} {}

    bool Null() { return writer_.Null(); }
    bool Bool(bool value) { return writer_.Bool(value); }
    bool RawNumber(const char* text, Size size, bool) { return writer_.RawValue(text, size, rapidjson::kNumberType); }
    bool String(const char* text, Size size, bool copy) { return writer_.String(text, size, copy); }
    bool Key(const char* text, Size size, bool copy) { return writer_.Key(text, size, copy); }
    bool StartObject() { return ++depth_ <= kMaxIndentedDepth && writer_.StartObject(); }
    bool EndObject(Size count) { return --depth_ >= 0 && writer_.EndObject(count); }
    bool StartArray() { return ++depth_ <= kMaxIndentedDepth && writer_.StartArray(); }
    bool EndArray(Size count) { return --depth_ >= 0 && writer_.EndArray(count); }

private:
    Writer& writer_;
    int depth_ = 0;
};

}  // namespace

std::string printable(std::string_view text) {
    return printable_except(text, {});
}

std::string printable_lines(std::string_view text) {
    return printable_except(text, "\n\t");
}

std::string printable_json(std::string_view json) {
    std::string out;
    out.reserve(json.size());
    while (!json.empty()) {
        const Character character = first_character(json);
        const std::string_view bytes = json.substr(0, std::max<std::size_t>(character.bytes, 1));
        // Below U+0020 stands only white space between values: inside strings JSON does not allow it.
        if (character.bytes == 0) {
            out += "\\ufffd";
        } else if (character.code >= 0x20 && is_obeyed(character.code)) {
            out += fmt::format("\\u{:04x}", static_cast<unsigned>(character.code));
        } else {
            out += bytes;
        }
        json.remove_prefix(bytes.size());
    }
    return out;
}

std::string indented_json(std::string_view json) {
    constexpr unsigned kFlags =
        rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag | rapidjson::kParseNumbersAsStringsFlag;
    rapidjson::StringBuffer buffer;
    Indenter::Writer writer{buffer};
    Indenter indenter{writer};
    rapidjson::Reader reader;
    rapidjson::MemoryStream bytes{json.data(), json.size()};
    rapidjson::EncodedInputStream<rapidjson::UTF8<>, rapidjson::MemoryStream> input{bytes};
    if (!reader.Parse<kFlags>(input, indenter)) return {};
    return printable_json({buffer.GetString(), buffer.GetSize()});
}

std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0u) != 0x80; }));
}

std::string shortened(std::string_view text, std::size_t places) {
    if (width(text) <= places) return std::string{text};
    std::size_t end = 0;
    for (std::size_t kept = 0; kept + 1 < places; ++kept) end += first_character(text.substr(end)).bytes;
    return std::string{text.substr(0, end)} + "…";
}

}  // namespace brokerd::cli
