// What shims leave for brokerd, and the logs they keep: daemon/shim/shim_files.h, daemon/logs/log_file_reader.h.
#include <fcntl.h>
#include <unistd.h>

#include "daemon/logs/log_file_reader.h"
#include "daemon/shim/shim_files.h"
#include "tests/fuzz/checks.h"
#include "tests/fuzz/private_root.h"

namespace brokerd::fuzz::shim_files_target {
namespace {

void try_notes(std::string_view text) {
    if (const auto running = parse_shim_running(text)) {
        expect(running->plugin.pid > 0 && running->shim.pid > 0, "a process has a number");
        const auto again = parse_shim_running(to_json(*running));
        expect(again && again->plugin == running->plugin && again->shim == running->shim, "a note is read as itself");
    }
    if (const auto exit = parse_shim_exit(text)) {
        const auto again = parse_shim_exit(to_json(*exit));
        expect(again && again->kind == exit->kind && again->status == exit->status &&
                   again->last_words == exit->last_words && again->out_of_memory == exit->out_of_memory,
               "a note is read as itself");
    }
    if (const auto report = parse_shim_report(text)) {
        expect(report->error.empty() == (report->plugin.pid > 0), "a plugin runs, or there is a reason");
        const auto again = parse_shim_report(to_json(*report));
        expect(again && again->plugin == report->plugin && again->error == report->error, "a note is read as itself");
    }
}

std::vector<LogLine> read_lines(LogFileReader& reader) {
    std::vector<LogLine> lines;
    const PluginLogs::Take take = [&](const LogLine& line) {
        lines.push_back(line);
        return true;
    };
    expect(reader.read(take), "a reader that is not stopped goes on");
    return lines;
}

/// A log that is read as it grows has the same lines as one that is read at once.
void try_log(std::string_view text) {
    write_file("/current", text.substr(0, text.size() / 2));
    const UniqueFd root{open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    LogFileReader growing{root.get(), "current"};
    std::size_t count = read_lines(growing).size();
    const UniqueFd log{open("/current", O_WRONLY | O_APPEND | O_CLOEXEC)};
    const std::string_view rest = text.substr(text.size() / 2);
    expect(write(log.get(), rest.data(), rest.size()) == static_cast<ssize_t>(rest.size()), "a log can grow");
    count += read_lines(growing).size();
    LogFileReader whole{root.get(), "current"};
    expect(read_lines(whole).size() == count, "a log has the same lines, whenever it is read");
}

}  // namespace

void try_input(std::string_view input) {
    static const auto root = PrivateRoot::make();
    try_notes(input);
    if (root) root->run([&] { try_log(input); });
}

}  // namespace brokerd::fuzz::shim_files_target
