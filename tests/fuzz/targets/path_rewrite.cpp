// Answers of volume plugins, whose paths are rewritten: daemon/proxy/path_rewrite.h. The input: the plugin's propagated
// mount in its first line, then the answer.
#include "daemon/proxy/path_rewrite.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/json.h"
#include "common/letter_case.h"
#include "tests/fuzz/checks.h"

namespace brokerd::fuzz::path_rewrite_target {
namespace {

constexpr std::string_view kMounts = "/state/plugins/id/propagated-mount";
constexpr std::string_view kRootfs = "/state/plugins/id/rootfs";

bool is_below(std::string_view path, std::string_view root) {
    return path == root || (path.starts_with(root) && path.substr(root.size()).starts_with('/'));
}

void expect_host_path(std::string_view path) {
    expect(is_below(path, kMounts) || is_below(path, kRootfs), "a path of the host is within the plugin's", path);
    const std::string parts = std::string{path} + '/';
    expect(parts.find("/../") == std::string::npos && parts.find("/./") == std::string::npos &&
               parts.find("//") == std::string::npos,
           "a path of the host is clean", path);
}

/// A name as Go compares it: the long s and the Kelvin sign are letters of it, too.
bool is_name(std::string_view text, std::string_view name) {
    std::string folded{text};
    for (const auto& [sign, letter] : {std::pair{"\xC5\xBF", "s"}, std::pair{"\xE2\x84\xAA", "k"}}) {
        for (std::size_t at = folded.find(sign); at != std::string::npos; at = folded.find(sign))
            folded.replace(at, std::strlen(sign), letter);
    }
    return equals_ignoring_case(folded, name);
}

std::string_view text_of(const rapidjson::Value& value) {
    return {value.GetString(), value.GetStringLength()};
}

/// Walks both documents side by side: the same but for Mountpoints of ASCII names, each of them the host's.
void expect_same_but_paths(const rapidjson::Value& before, const rapidjson::Value& after, unsigned volume_levels) {
    expect(before.GetType() == after.GetType(), "a value keeps its type");
    if (before.IsArray()) {
        expect(before.Size() == after.Size(), "a list keeps its length");
        for (rapidjson::SizeType i = 0; i < before.Size(); ++i)
            expect_same_but_paths(before[i], after[i], volume_levels);
    } else if (before.IsObject()) {
        expect(before.MemberCount() == after.MemberCount(), "an object keeps its members");
        for (rapidjson::SizeType i = 0; i < before.MemberCount(); ++i) {
            const auto& [name, value] = before.MemberBegin()[i];
            const auto& [new_name, new_value] = after.MemberBegin()[i];
            expect(text_of(name) == text_of(new_name), "a member keeps its name");
            const bool is_mountpoint = is_name(text_of(name), "Mountpoint");
            const bool leads_to_volumes = is_name(text_of(name), "Volume") || is_name(text_of(name), "Volumes");
            if (volume_levels > 0 && is_mountpoint && new_value.IsString() && new_value.GetStringLength() > 0) {
                if (volume_levels == 2) expect_host_path(text_of(new_value));
            } else {
                expect_same_but_paths(value, new_value, volume_levels == 2 && leads_to_volumes ? 1 : 0);
            }
        }
    } else if (before.IsNumber()) {
        expect(before.GetDouble() == after.GetDouble(), "a number keeps its value");
    } else if (before.IsString()) {
        expect(text_of(before) == text_of(after), "a text keeps its value");
    }
}

}  // namespace

void try_input(std::string_view input) {
    const std::size_t line = std::min(input.find('\n'), input.size());
    const PathRewrite paths{std::string{input.substr(0, line)}, std::string{kMounts}, std::string{kRootfs}};
    const std::string_view body = input.substr(std::min(line + 1, input.size()));
    expect_host_path(paths.to_host(body));
    const auto rewritten = rewrite_mountpoints(paths, body);
    if (!rewritten) return expect_sentence(rewritten.error().message);
    const auto before = parse_json(body);
    if (!before || is_deep(body)) return;  // numbers that no double holds are JSON all the same
    const auto after = parse_json(*rewritten);
    expect(after && after->IsObject(), "what an engine gets is a JSON object", *rewritten);
    expect_same_but_paths(*before, *after, 2);
}

}  // namespace brokerd::fuzz::path_rewrite_target
