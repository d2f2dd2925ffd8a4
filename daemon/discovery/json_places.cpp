#include "daemon/discovery/json_places.h"

#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <algorithm>

namespace brokerd {
namespace {

/// Told of each name right after its closing quote was read, with the input where it stands.
class PlaceRecorder : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, PlaceRecorder> {
public:
    PlaceRecorder(std::string_view text, const rapidjson::MemoryStream& input) : text_{text}, input_{input} {}

    bool StartObject() { return enter(); }
    bool StartArray() { return enter(); }
    bool EndObject(rapidjson::SizeType) { return leave(); }
    bool EndArray(rapidjson::SizeType) { return leave(); }

    bool Key(const char*, rapidjson::SizeType, bool) {
        if (depth_ == 1) places_.push_back(place());
        if (depth_ == 2 && !places_.empty()) places_.back().members.push_back(place());
        return true;
    }

    std::vector<MemberPlace> take() { return std::move(places_); }

private:
    bool enter() {
        ++depth_;
        return true;
    }
    bool leave() {
        --depth_;
        return true;
    }

    [[nodiscard]] MemberPlace place() const {
        const std::size_t end = input_.Tell();  // one past the closing quote
        const std::size_t value = text_.find_first_not_of(" \t\r\n:", end);
        return {start_of_string(end), std::min(value, text_.size()), {}};
    }

    /// The opening quote of the string that ends before `end`: the last quote that is not itself escaped.
    [[nodiscard]] std::size_t start_of_string(std::size_t end) const {
        for (std::size_t quote = end - 1; quote > 0;) {
            quote = text_.rfind('"', quote - 1);
            if (quote == std::string_view::npos) return 0;
            std::size_t backslashes = 0;
            while (backslashes < quote && text_[quote - 1 - backslashes] == '\\') ++backslashes;
            if (backslashes % 2 == 0) return quote;
        }
        return 0;
    }

    std::string_view text_;
    const rapidjson::MemoryStream& input_;
    std::size_t depth_ = 0;
    std::vector<MemberPlace> places_;
};

}  // namespace

std::vector<MemberPlace> place_members(std::string_view text) {
    rapidjson::MemoryStream input{text.data(), text.size()};
    PlaceRecorder recorder{text, input};
    rapidjson::Reader reader;
    reader.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseTrailingCommasFlag>(input, recorder);
    return recorder.take();
}

}  // namespace brokerd
