#include "daemon/proxy/path_rewrite.h"

#include <fmt/format.h>
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "common/json.h"
#include "common/letter_case.h"
#include "common/plugin_name.h"

// The body goes through a filter, from reader to writer, and never becomes a tree: numbers keep their notation, members
// that come twice stay twice (each of their paths rewritten, whichever the engine takes), and what the engine gets is
// what this parser has understood, written anew: two readings of one odd text cannot differ.

namespace brokerd {
namespace {

/// An absolute path without empty, "." and ".." parts; ".." at the root stays there. "/" as an empty text.
std::string cleaned(std::string_view path) {
    std::vector<std::string_view> parts;
    for (std::size_t start = 0; start <= path.size();) {
        const std::size_t end = std::min(path.find('/', start), path.size());
        const std::string_view part = path.substr(start, end - start);
        start = end + 1;
        if (part == "..") {
            if (!parts.empty()) parts.pop_back();
        } else if (!part.empty() && part != ".") {
            parts.push_back(part);
        }
    }
    std::string clean;
    for (const std::string_view part : parts) clean.append("/").append(part);
    return clean;
}

/// Go's encoding/json takes a member for a field whose name differs in case only, by Unicode's simple folding: for
/// Latin letters that adds the long s and the Kelvin sign.
std::string folded(std::string_view name) {
    std::string folded;
    for (std::size_t i = 0; i < name.size(); ++i) {
        if (name.substr(i).starts_with("\xC5\xBF")) {
            folded += 's';
            i += 1;
        } else if (name.substr(i).starts_with("\xE2\x84\xAA")) {
            folded += 'k';
            i += 2;
        } else {
            folded += to_lower(name[i]);
        }
    }
    return folded;
}

/// Hands every event on to a writer, and rewrites the paths on the way.
class PathFilter {
public:
    using Ch = char;

    PathFilter(const PathRewrite& paths, JsonWriter& writer) : paths_{paths}, writer_{writer} {}

    /// Why it has ended the reading; empty: it has not.
    [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

    bool Null() { return begin_value(Value::null) && writer_.Null(); }
    bool Bool(bool value) { return begin_value(Value::other) && writer_.Bool(value); }
    bool RawNumber(const char* text, rapidjson::SizeType size, bool) {
        return begin_value(Value::other) && writer_.RawValue(text, size, rapidjson::kNumberType);
    }
    bool String(const char* text, rapidjson::SizeType size, bool) {
        const bool is_path = next_ == Meaning::path && size > 0;
        if (!begin_value(Value::text)) return false;
        if (!is_path) return writer_.String(text, size);
        const std::string_view inside{text, size};
        if (inside.find('\0') != std::string_view::npos) return refuse("a Mountpoint in it contains a zero byte");
        const std::string host = paths_.to_host(inside);
        return writer_.String(host.data(), static_cast<rapidjson::SizeType>(host.size()));
    }
    bool StartObject() {
        // Objects of the protocol stand at the top, in Volume, and in the list Volumes.
        const bool is_top = levels_.empty();
        const bool is_volume = next_ == Meaning::volume || (!is_top && levels_.back() == Level::list);
        if (!begin_value(Value::object)) return false;
        levels_.push_back(is_top ? Level::top : is_volume ? Level::volume : Level::other);
        return writer_.StartObject();
    }
    bool StartArray() {
        const bool is_list = next_ == Meaning::volumes;
        if (!begin_value(Value::other)) return false;
        levels_.push_back(is_list ? Level::list : Level::other);
        return writer_.StartArray();
    }
    bool Key(const char* text, rapidjson::SizeType size, bool) {
        next_ = meaning(folded({text, size}), levels_.back());
        return writer_.Key(text, size);
    }
    bool EndObject(rapidjson::SizeType) {
        levels_.pop_back();
        return writer_.EndObject();
    }
    bool EndArray(rapidjson::SizeType) {
        levels_.pop_back();
        return writer_.EndArray();
    }
    // Numbers come raw; the reader wants these all the same.
    bool Int(int) { return false; }
    bool Uint(unsigned) { return false; }
    bool Int64(std::int64_t) { return false; }
    bool Uint64(std::uint64_t) { return false; }
    bool Double(double) { return false; }

private:
    enum class Level : std::uint8_t { top, volume, list, other };
    enum class Meaning : std::uint8_t { path, volume, volumes, other };
    enum class Value : std::uint8_t { null, text, object, other };

    [[nodiscard]] static Meaning meaning(std::string_view name, Level level) {
        if (level != Level::top && level != Level::volume) return Meaning::other;
        if (name == "mountpoint") return Meaning::path;
        if (level == Level::top && name == "volume") return Meaning::volume;
        if (level == Level::top && name == "volumes") return Meaning::volumes;
        return Meaning::other;
    }
    [[nodiscard]] bool begin_value(Value value) {
        const Meaning is = std::exchange(next_, Meaning::other);
        if (levels_.empty() && value != Value::object) return refuse("it is no JSON object");
        if (is == Meaning::path && value != Value::text && value != Value::null)
            return refuse("a Mountpoint in it is no text");
        return true;
    }
    [[nodiscard]] bool refuse(const char* problem) {
        problem_ = problem;
        return false;
    }

    const PathRewrite& paths_;
    JsonWriter& writer_;
    std::vector<Level> levels_;
    Meaning next_ = Meaning::other;  ///< of the value that follows a name
    std::string problem_;
};

/// What is left of `path` behind `root`, if it is at or below it; both are cleaned.
std::optional<std::string_view> below(std::string_view path, std::string_view root) {
    if (!path.starts_with(root)) return std::nullopt;
    const std::string_view rest = path.substr(root.size());
    if (!rest.empty() && rest.front() != '/') return std::nullopt;
    return rest;
}

}  // namespace

std::string PathRewrite::to_host(std::string_view inside) const {
    const std::string path = cleaned(inside);
    if (!propagated_mount.empty()) {
        if (const auto rest = below(path, cleaned(propagated_mount))) return host_propagated_mount + std::string{*rest};
    }
    return host_rootfs + path;
}

bool answer_tells_paths(std::string_view path) noexcept {
    constexpr std::string_view kDriver = "/VolumeDriver.";
    if (!path.starts_with(kDriver)) return false;
    const std::string_view method = path.substr(kDriver.size());
    return method == "Mount" || method == "Path" || method == "Get" || method == "List";
}

Result<std::string> rewrite_mountpoints(const PathRewrite& paths, std::string_view body) {
    constexpr unsigned kStrict =
        rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag | rapidjson::kParseNumbersAsStringsFlag;
    rapidjson::MemoryStream input{body.data(), body.size()};
    rapidjson::StringBuffer written;
    JsonWriter writer{written};
    PathFilter filter{paths, writer};
    rapidjson::Reader reader;
    const rapidjson::ParseResult result = reader.Parse<kStrict>(input, filter);
    if (!filter.problem().empty()) return fail(filter.problem());
    if (result.IsError()) {
        return fail(fmt::format("it is not valid JSON (at byte {}: {})", result.Offset(),
                                rapidjson::GetParseError_En(result.Code())));
    }
    // RapidJSON takes a NUL for the end.
    if (input.Tell() < body.size()) return fail(fmt::format("it is not valid JSON (at byte {}: a NUL)", input.Tell()));
    return std::string{written.GetString(), written.GetSize()};
}

}  // namespace brokerd
