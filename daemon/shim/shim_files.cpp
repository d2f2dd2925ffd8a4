#include "daemon/shim/shim_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/json.h"
#include "common/json_members.h"
#include "common/os/process_facts.h"
#include "common/os/system_error.h"
#include "common/os/unique_fd.h"
#include "common/plugin_view.h"

namespace brokerd {
namespace {

constexpr std::pair<ShimExit::Kind, std::string_view> kKinds[] = {
    {ShimExit::Kind::exited, "exited"}, {ShimExit::Kind::killed, "killed"}, {ShimExit::Kind::unknown, "unknown"}};

/// At most `limit` bytes of the file; more is an error, as is what is no ordinary file.
Result<std::optional<std::string>> read_small_file(int directory, const char* name, std::size_t limit) {
    const UniqueFd file{openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
    if (!file && errno == ENOENT) return std::optional<std::string>{};
    struct stat what {};
    if (!file || fstat(file.get(), &what) != 0) return fail(std::string{"cannot open it: "} + errno_text(errno));
    if (!S_ISREG(what.st_mode)) return fail("it is no ordinary file");
    std::string text(limit + 1, '\0');
    std::size_t size = 0;
    while (size < text.size()) {
        const ssize_t got = read(file.get(), text.data() + size, text.size() - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(std::string{"cannot read it: "} + errno_text(errno));
        if (got == 0) break;
        size += static_cast<std::size_t>(got);
    }
    if (size > limit) return fail("it is too large");
    text.resize(size);
    return std::optional{std::move(text)};
}

template <class T>
Result<std::optional<T>> read_note(int bundle, std::string_view name, Result<T> (*parse)(std::string_view)) {
    const std::string file{name};
    const auto wrong = [&](const Error& error) {
        return fail("the bundle's file \"" + file + "\" is of no use: " + error.message);
    };
    const auto text = read_small_file(bundle, file.c_str(), kMaxShimText);
    if (!text) return wrong(text.error());
    if (!*text) return std::optional<T>{};
    auto note = parse(**text);
    if (!note) return wrong(note.error());
    return std::optional<T>{*std::move(note)};
}

Result<rapidjson::Document> parse_object(std::string_view text) {
    if (text.size() > kMaxShimText) return fail("it is too large");
    auto document = parse_json(text);
    if (!document) return fail("it is no JSON: " + document.error().message);
    if (!document->IsObject()) return fail("it is no JSON object");
    return *std::move(document);
}

void write_process(JsonWriter& writer, std::string_view pid, std::string_view start, const ProcessIdentity& process) {
    write_key(writer, pid);
    writer.Int(process.pid);
    write_key(writer, start);
    writer.Uint64(process.start);
}

std::optional<ProcessIdentity> process_of(const rapidjson::Value& object, const char* pid, const char* start) {
    const rapidjson::Value* number = member(object, pid);
    const rapidjson::Value* ticks = member(object, start);
    if (number == nullptr || !number->IsInt() || number->GetInt() <= 0) return std::nullopt;
    if (ticks == nullptr || !ticks->IsUint64()) return std::nullopt;
    return ProcessIdentity{number->GetInt(), ticks->GetUint64()};
}

std::optional<ShimExit::Kind> kind_of(std::string_view text) {
    for (const auto& [kind, name] : kKinds) {
        if (name == text) return kind;
    }
    return std::nullopt;
}

}  // namespace

std::optional<ProcessIdentity> process_identity(pid_t pid) {
    const auto start = process_start(pid);
    if (!start) return std::nullopt;
    return ProcessIdentity{pid, *start};
}

std::string to_json(const ShimRunning& running) {
    return json_text([&](JsonWriter& writer) {
        writer.StartObject();
        write_process(writer, "Pid", "PidStart", running.plugin);
        write_process(writer, "ShimPid", "ShimStart", running.shim);
        write_member(writer, "Started", format_time(running.started));
        writer.EndObject();
    });
}

std::string to_json(const ShimExit& exit) {
    return json_text([&](JsonWriter& writer) {
        writer.StartObject();
        for (const auto& [kind, name] : kKinds) {
            if (kind == exit.kind) write_member(writer, "Kind", name);
        }
        write_key(writer, "Status");
        writer.Int(exit.status);
        write_key(writer, "OutOfMemory");
        writer.Bool(exit.out_of_memory);
        write_member(writer, "LastWords", exit.last_words);
        write_member(writer, "At", format_time(exit.at));
        writer.EndObject();
    });
}

std::string to_json(const ShimReport& report) {
    return json_text([&](JsonWriter& writer) {
        writer.StartObject();
        if (report.error.empty()) {
            write_process(writer, "Pid", "PidStart", report.plugin);
        } else {
            write_member(writer, "Error", report.error);
        }
        writer.EndObject();
    });
}

Result<ShimRunning> parse_shim_running(std::string_view text) {
    const auto object = parse_object(text);
    if (!object) return fail(object.error());
    const auto plugin = process_of(*object, "Pid", "PidStart");
    const auto shim = process_of(*object, "ShimPid", "ShimStart");
    if (!plugin || !shim) return fail("it names no processes");
    return ShimRunning{*plugin, *shim, parse_time(string_member(*object, "Started"))};
}

Result<ShimExit> parse_shim_exit(std::string_view text) {
    const auto object = parse_object(text);
    if (!object) return fail(object.error());
    const auto kind = kind_of(string_member(*object, "Kind"));
    const rapidjson::Value* status = member(*object, "Status");
    const rapidjson::Value* memory = member(*object, "OutOfMemory");
    if (!kind || status == nullptr || !status->IsInt() || memory == nullptr || !memory->IsBool()) {
        return fail("it does not tell how the plugin ended");
    }
    return ShimExit{*kind, status->GetInt(), memory->GetBool(), string_member(*object, "LastWords"),
                    parse_time(string_member(*object, "At"))};
}

Result<ShimReport> parse_shim_report(std::string_view text) {
    const auto object = parse_object(text);
    if (!object) return fail(object.error());
    if (std::string error = string_member(*object, "Error"); !error.empty()) return ShimReport{{}, std::move(error)};
    const auto plugin = process_of(*object, "Pid", "PidStart");
    if (!plugin) return fail("it names no process");
    return ShimReport{*plugin, {}};
}

Result<std::optional<ShimRunning>> read_running(int bundle) {
    return read_note(bundle, bundle_files::kRunning, &parse_shim_running);
}

Result<std::optional<ShimExit>> read_exit(int bundle) {
    return read_note(bundle, bundle_files::kExit, &parse_shim_exit);
}

bool write_bundle_file(int bundle, std::string_view name, std::string_view text) {
    const std::string target{name};
    const std::string fresh = "." + target + ".new";
    UniqueFd file{openat(bundle, fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (!file) return false;
    while (!text.empty()) {
        const ssize_t put = write(file.get(), text.data(), text.size());
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(put));
    }
    return renameat(bundle, fresh.c_str(), bundle, target.c_str()) == 0;
}

}  // namespace brokerd
