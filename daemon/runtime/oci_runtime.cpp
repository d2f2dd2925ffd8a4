#include "daemon/runtime/oci_runtime.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>

#include "common/json.h"
#include "common/json_members.h"
#include "daemon/runtime/command.h"

namespace brokerd {
namespace {

constexpr std::size_t kMaxLastWords = 400;
constexpr std::size_t kMaxVersionField = 64;
constexpr std::size_t kMaxAnnotations = 32;

bool is_program(const std::string& path) {
    struct stat status {};
    return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && access(path.c_str(), X_OK) == 0;
}

std::string find_in_path(const std::string& name) {
    const char* const variable = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): nobody changes the environment
    std::string_view rest = variable != nullptr && *variable != '\0' ? variable : "";
    const std::string both = std::string{rest} + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";
    for (rest = both; !rest.empty();) {
        const std::size_t end = rest.find(':');
        const std::string candidate = std::string{rest.substr(0, end)} + "/" + name;
        if (candidate.front() == '/' && is_program(candidate)) return candidate;
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    return {};
}

/// Control characters become blanks, so that no program can write over somebody's terminal or forge a line of the log.
std::string cleaned(std::string_view text, std::size_t most) {
    std::string line{text.substr(0, most)};
    std::replace_if(
        line.begin(), line.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }, ' ');
    while (!line.empty() && line.back() == ' ') line.pop_back();
    line.erase(0, std::min(line.find_first_not_of(' '), line.size()));
    return line;
}

/// `time="…" level=error msg="container does not exist"`, as runc and others write to a terminal.
std::string_view message_of_log_line(std::string_view line) {
    constexpr std::string_view kMark = "msg=\"";
    const std::size_t at = line.find(kMark);
    if (at == std::string_view::npos || !line.ends_with('"') || at + kMark.size() >= line.size()) return line;
    line.remove_prefix(at + kMark.size());
    line.remove_suffix(1);
    return line;
}

std::string message_of_json(std::string_view line) {
    const auto document = parse_json(line);
    return document ? string_member(*document, "msg") : std::string{};
}

std::vector<std::string> annotations_of(std::string_view features) {
    std::vector<std::string> texts;
    const auto document = parse_json(features);
    if (!document) return texts;
    const rapidjson::Value* const annotations = member(*document, "annotations");
    if (annotations == nullptr || !annotations->IsObject()) return texts;
    for (const auto& [name, value] : annotations->GetObject()) {
        if (value.IsString() && texts.size() < kMaxAnnotations)
            texts.push_back(cleaned(fmt::format("{}={}", name.GetString(), value.GetString()), 2 * kMaxVersionField));
    }
    return texts;
}

/// "runc version 1.1.5+ds1", "crun version 1.8.1", then lines of "key: value".
RuntimeVersion parse_version(std::string_view text, const std::string& program) {
    RuntimeVersion version;
    version.name = cleaned(std::string_view{program}.substr(program.rfind('/') + 1), kMaxVersionField);
    constexpr std::string_view kVersion = " version ";
    constexpr std::string_view kSpec = "spec:";
    for (bool first = true; !text.empty(); first = false) {
        const std::size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        if (const std::size_t at = line.find(kVersion); first && at != std::string_view::npos && at > 0) {
            version.name = cleaned(line.substr(0, at), kMaxVersionField);
            version.version = cleaned(line.substr(at + kVersion.size()), kMaxVersionField);
        } else if (line.starts_with(kSpec)) {
            version.spec = cleaned(line.substr(kSpec.size()), kMaxVersionField);
        }
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return version;
}

std::string end_of(const CommandOutcome& outcome) {
    if (outcome.exited) return fmt::format("ended with status {}", outcome.status);
    return fmt::format("was killed by signal {}", outcome.status);
}

bool is_unknown_container(const CommandOutcome& outcome) {
    return outcome.errors.find("does not exist") != std::string::npos ||
           outcome.errors.find("No such file or directory") != std::string::npos;
}

}  // namespace

std::string last_words(std::string_view output) {
    while (!output.empty()) {
        const std::size_t start = output.rfind('\n');
        const std::string_view line = output.substr(start == std::string_view::npos ? 0 : start + 1);
        std::string words = line.starts_with('{') ? message_of_json(line) : std::string{};
        if (words.empty()) words = message_of_log_line(line);
        words = cleaned(words, kMaxLastWords);
        if (!words.empty()) return words;
        output = output.substr(0, start == std::string_view::npos ? 0 : start);
    }
    return {};
}

std::string RuntimeVersion::str() const {
    return version.empty() ? name : fmt::format("{} {}", name, version);
}

OciRuntime::OciRuntime(std::string program, std::string state, bool systemd_cgroup, const Cancellation& cancellation,
                       std::chrono::milliseconds deadline)
    : program_{std::move(program)},
      state_{std::move(state)},
      systemd_cgroup_{systemd_cgroup},
      cancellation_{cancellation},
      deadline_{deadline} {}

Result<std::string> OciRuntime::path() const {
    const bool is_path = program_.find('/') != std::string::npos;
    std::string found = is_path ? (is_program(program_) ? program_ : std::string{}) : find_in_path(program_);
    if (!found.empty()) return found;
    return fail(fmt::format("no OCI runtime: {} is not {}; install it or set --oci-runtime", program_,
                            is_path ? "a program that can be run" : "installed"));
}

Result<std::string> OciRuntime::run(const std::vector<std::string>& arguments) const {
    auto program = path();
    if (!program) return fail(program.error());
    std::vector<std::string> command{*program};
    command.insert(command.end(), arguments.begin(), arguments.end());
    auto outcome = run_command(command, deadline_, cancellation_);
    if (!outcome) return fail(outcome.error());
    if (outcome->succeeded()) return std::move(outcome->output);
    std::string words = last_words(outcome->errors);
    if (words.empty()) words = end_of(*outcome);
    return fail(fmt::format("{}: {}", *program, words));
}

std::vector<std::string> OciRuntime::with_root(std::vector<std::string> command) const {
    std::vector<std::string> arguments{"--root", state_};
    if (systemd_cgroup_) arguments.emplace_back("--systemd-cgroup");
    arguments.insert(arguments.end(), std::make_move_iterator(command.begin()), std::make_move_iterator(command.end()));
    return arguments;
}

Result<RuntimeVersion> OciRuntime::probe() const {
    const auto program = path();
    if (!program) return fail(program.error());
    const auto text = run({"--version"});
    if (!text) return fail(text.error());
    RuntimeVersion version = parse_version(*text, *program);
    if (const auto features = run({"features"})) {
        version.has_features = true;
        version.annotations = annotations_of(*features);
    }
    return version;
}

Result<bool> OciRuntime::remove(const std::string& id) const {
    // With --force, a container that the runtime does not know is no error: runc, crun and youki agree on that.
    const auto done = run(with_root({"delete", "--force", id}));
    if (!done) return fail(done.error());
    return true;
}

Result<std::string> OciRuntime::state(const std::string& id) const {
    auto program = path();
    if (!program) return fail(program.error());
    std::vector<std::string> command{*program};
    for (std::string& argument : with_root({"state", id})) command.push_back(std::move(argument));
    const auto outcome = run_command(command, deadline_, cancellation_);
    if (!outcome) return fail(outcome.error());
    if (!outcome->succeeded()) {
        if (outcome->exited && is_unknown_container(*outcome)) return std::string{};
        const std::string words = last_words(outcome->errors);
        return fail(fmt::format("{}: {}", *program, words.empty() ? end_of(*outcome) : words));
    }
    const auto document = parse_json(outcome->output);
    if (!document) return fail(fmt::format("{} answered what is not JSON when asked for a state", *program));
    return cleaned(string_member(*document, "status"), kMaxVersionField);
}

}  // namespace brokerd
