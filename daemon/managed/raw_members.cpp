#include "daemon/managed/raw_members.h"

#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <algorithm>

#include "common/surrogates.h"
#include "daemon/managed/json_field.h"

namespace brokerd {
namespace {

using Input = rapidjson::MemoryStream;

constexpr std::string_view kSpace = " \t\r\n";

/// Follows the parser through a document and notes where the values of the outermost object begin and end. RapidJSON
/// reports each event when its text is read, so the input's position then is the end of that text.
class MemberPlaces : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, MemberPlaces> {
public:
    MemberPlaces(std::string_view text, const Input& input) : text_{text}, input_{input} {}

    bool Default() {
        if (depth_ == 1) end_value(input_.Tell());
        return depth_ > 0;
    }
    bool Key(const char* name, rapidjson::SizeType size, bool) {
        if (depth_ == 1) {
            name_.assign(name, size);
            name_end_ = input_.Tell();
        }
        return true;
    }
    bool StartObject() {
        ++depth_;
        return true;
    }
    bool EndObject(rapidjson::SizeType) { return end_container(); }
    bool StartArray() { return depth_++ > 0; }
    bool EndArray(rapidjson::SizeType) { return end_container(); }

    std::vector<RawMember> members;

private:
    bool end_container() {
        --depth_;
        if (depth_ == 1) end_value(input_.Tell() + 1);
        return true;
    }

    void end_value(std::size_t end) {
        const std::size_t begin = text_.find(':', name_end_) + 1;
        const std::size_t first = text_.find_first_not_of(kSpace, begin);
        const std::size_t after = std::min(text_.find_first_not_of(kSpace, end), text_.size());
        members.push_back({name_, text_.substr(first, end - first), text_.substr(begin, after - begin)});
    }

    std::string_view text_;
    const Input& input_;
    std::size_t depth_ = 0;
    std::string name_;
    std::size_t name_end_ = 0;
};

}  // namespace

Result<std::vector<RawMember>, JsonError> split_object(std::string_view text) {
    constexpr unsigned kFlags =
        rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag | rapidjson::kParseTrailingCommasFlag;
    if (!is_plain_text(text)) return fail(JsonError{"has a NUL byte or a byte order mark", 1, 1});
    Input input{text.data(), text.size()};
    MemberPlaces places{text, input};
    rapidjson::Reader reader;
    const rapidjson::ParseResult parsed = reader.Parse<kFlags>(input, places);
    if (parsed.Code() == rapidjson::kParseErrorTermination) return fail(JsonError{"must be an object", 1, 1});
    if (!parsed) return fail(locate(text, parsed.Offset(), rapidjson::GetParseError_En(parsed.Code())));
    if (auto fault = lone_surrogate(text)) return fail(*std::move(fault));
    return std::move(places.members);
}

}  // namespace brokerd
