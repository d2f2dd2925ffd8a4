// Hostile text on its way to a terminal or a log: cli/output/printable.h, daemon/shim/last_words.h, runtime_failure.h,
// line_splitter.h.
#include <cstring>

#include "cli/output/printable.h"
#include "common/json.h"
#include "daemon/shim/last_words.h"
#include "daemon/shim/line_splitter.h"
#include "daemon/shim/runtime_failure.h"
#include "tests/fuzz/checks.h"

namespace brokerd::fuzz::terminal_text_target {
namespace {

void try_printable(std::string_view text) {
    const std::string shown = cli::printable(text);
    expect(is_printable_line(shown), "printable text is printable", shown);
    expect(cli::printable(shown) == shown, "printable text stays as it is", shown);
    std::string lines = cli::printable_lines(text);
    for (char& c : lines)
        if (c == '\n' || c == '\t') c = ' ';
    expect(is_printable_line(lines), "printable lines are printable", lines);
    for (const std::size_t places : {std::size_t{1}, std::size_t{10}})
        expect(cli::width(cli::shortened(shown, places)) <= places, "shortened text fits", shown);
}

std::string written(const rapidjson::Value& value) {
    return json_text([&](JsonWriter& writer) { value.Accept(writer); });
}

void try_json(std::string_view text) {
    const auto document = parse_json(text);
    const std::string indented = cli::indented_json(text);
    if (!document || is_deep(text)) return;
    const auto shown = parse_json(cli::printable_json(text));
    expect(shown && written(*shown) == written(*document), "JSON that is made printable means the same");
    if (indented.empty()) return;
    const auto again = parse_json(indented);
    expect(again && written(*again) == written(*document), "JSON that is indented means the same", indented);
}

/// Lines, as the shim cuts them from a pipe: nothing is lost, whatever comes in whatever pieces.
void try_lines(std::string_view text) {
    const auto splitter = std::make_unique<LineSplitter>();
    LastWords words;
    std::string joined;
    bool ended = true;
    const auto take = [&](std::string_view line, bool partial) {
        joined += line;
        if (!partial) joined += '\n';
        ended = !partial;
        words.heard(line, partial);
    };
    Cuts cuts{text};
    for (std::string_view left = text; !left.empty();) {
        const auto room = splitter->room();
        const std::size_t count = std::min(cuts.next(left.size()), room.size());
        std::memcpy(room.data(), left.data(), count);
        left.remove_prefix(count);
        splitter->added(count, take);
    }
    splitter->end(take);
    std::string expected{text};
    if (!expected.empty() && !expected.ends_with('\n')) expected += '\n';
    if (!ended) joined += '\n';
    expect(joined == expected, "lines are all that was written");
    expect(is_printable_line(words.str()), "last words can be shown", words.str());
}

}  // namespace

void try_input(std::string_view input) {
    try_printable(input);
    try_json(input);
    try_lines(input);
    const std::string line = one_clean_line(input, 80);
    expect(is_printable_line(line) && line.size() <= 80, "a clean line is one, and not too long", line);
    expect(one_clean_line(line, 80) == line, "a clean line stays as it is", line);
    const auto parts = parts_of(input, 2);
    expect_sentence(runtime_failure("runc", parts[0], parts[1], "exited with status 1"));
}

}  // namespace brokerd::fuzz::terminal_text_target
