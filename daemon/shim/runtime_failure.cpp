#include "daemon/shim/runtime_failure.h"

#include "common/json.h"
#include "daemon/shim/last_words.h"

namespace brokerd {
namespace {

/// Ours: the longest errors of runc name a mount with all its options.
constexpr std::size_t kMaxWords = 1000;

/// Calls `take` with each line of `text`, the last one first, until it returns true.
template <class Take>
void lines_backwards(std::string_view text, Take take) {
    while (!text.empty()) {
        const std::size_t feed = text.rfind('\n', text.size() - 1);
        const std::string_view line = feed == std::string_view::npos ? text : text.substr(feed + 1);
        if (!line.empty() && take(line)) return;
        text = feed == std::string_view::npos ? std::string_view{} : text.substr(0, feed);
    }
}

std::string last_error(std::string_view log) {
    std::string message;
    lines_backwards(log, [&](std::string_view line) {
        const auto entry = parse_json(line);
        if (!entry) return false;
        const std::string level = string_member(*entry, "level");
        if (level != "error" && level != "fatal" && level != "panic") return false;
        message = one_clean_line(string_member(*entry, "msg"), kMaxWords);
        return !message.empty();
    });
    return message;
}

std::string last_line(std::string_view text) {
    std::string found;
    lines_backwards(text, [&](std::string_view line) {
        found = one_clean_line(line, kMaxWords);
        return !found.empty();
    });
    return found;
}

/// Without what says only that starting failed, which the reader knows.
std::string_view without_preamble(std::string_view words, std::string_view runtime) {
    const std::string run_failed = std::string{runtime} + " run failed: ";
    for (const std::string_view prefix :
         {std::string_view{run_failed}, std::string_view{"unable to start container process: "},
          std::string_view{"error during container init: "}, std::string_view{"OCI runtime error: "}}) {
        if (words.starts_with(prefix)) words.remove_prefix(prefix.size());
    }
    return words;
}

/// The program in `exec: "/x": …`, which is how runc tells, or in "executable file `/x` not found", which is crun's
/// way.
std::string_view quoted_program(std::string_view words) {
    for (const auto& [before, after] : {std::pair<std::string_view, std::string_view>{"exec: \"", "\""},
                                        std::pair<std::string_view, std::string_view>{"executable file `", "`"}}) {
        const std::size_t at = words.find(before);
        if (at == std::string_view::npos) continue;
        const std::string_view rest = words.substr(at + before.size());
        return rest.substr(0, rest.find(after));
    }
    return {};
}

std::string cause_of(std::string_view words) {
    const auto says = [&](std::string_view text) { return words.find(text) != std::string_view::npos; };
    const std::string_view program = quoted_program(words);
    if (program.empty()) return {};
    const std::string its = "its entrypoint " + std::string{program};
    if (says("exec format error"))
        return its + " is for another architecture than this host's, or is no program at all";
    if (says("no such file") || says("not found")) return its + " is not in its rootfs";
    if (says("permission denied")) return its + " is not an executable file";
    return {};
}

}  // namespace

std::string runtime_failure(std::string_view runtime, std::string_view log, std::string_view errors,
                            std::string_view end) {
    const std::string name = one_clean_line(runtime, 100);
    std::string words = last_error(log);
    if (words.empty()) words = last_line(errors);
    if (words.empty()) return name + " could not start it: it " + std::string{end} + " and said nothing";
    const std::string_view rest = without_preamble(words, name);
    if (const std::string cause = cause_of(rest); !cause.empty())
        return cause + " (" + name + ": " + std::string{rest} + ')';
    return name + " could not start it: " + std::string{rest};
}

}  // namespace brokerd
