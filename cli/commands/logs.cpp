#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <array>
#include <map>
#include <memory>

#include "cli/command_table.h"
#include "cli/output/format.h"
#include "cli/output/printable.h"
#include "cli/session.h"
#include "common/json_members.h"
#include "common/log_client.h"

namespace brokerd::cli {
namespace {

constexpr std::array<std::string_view, 4> kFields{"Time", "Stream", "Message", "Partial"};

struct Flags {
    std::string name;
    std::string tail;
    std::string since;
    std::string format;
    bool follow = false;
    bool timestamps = false;
};

/// Writes lines as the plugin wrote them: what came on its stderr to ours, all else to stdout.
class LinePrinter {
public:
    LinePrinter(Session& session, bool timestamps) : session_{session}, timestamps_{timestamps} {}

    bool print(const rapidjson::Document& line) {
        const std::string stream = string_member(line, "Stream");
        const rapidjson::Value* partial = member(line, "Partial");
        const bool goes_on = partial != nullptr && partial->IsBool() && partial->GetBool();
        Output& out = stream == "stdout" ? session_.out : session_.err();
        bool& within = within_[stream == "stdout"];
        if (timestamps_ && !within) out.write(printable(string_member(line, "Time")) + ' ');
        const std::string message = string_member(line, "Message");
        const bool is_note = stream == "brokerd";
        if (is_note) out.write("[brokerd: ");
        // A terminal obeys what it is shown; a file or another program gets what the plugin wrote.
        out.write(out.is_terminal() ? printable_lines(message) : message);
        if (is_note) out.write("]");
        if (!goes_on) out.write("\n");
        within = goes_on;
        return out.flush();
    }

private:
    Session& session_;
    bool timestamps_;
    std::map<bool, bool> within_;  ///< whether a long line has not ended yet, of stdout and of all else
};

bool is_tail(const std::string& text) {
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    return text.empty() || text == "all" || (text.size() <= 9 && std::all_of(text.begin(), text.end(), is_digit));
}

ExitStatus run(const Flags& flags, Session& session) {
    if (!is_tail(flags.tail)) {
        return session.usage_error(fmt::format("\"{}\" is no number of lines; write a number, or all", flags.tail));
    }
    const auto format = Format::parse(flags.format, kFields);
    if (!format) return session.usage_error(format.error().message);
    if (format->is_table()) return session.usage_error("a stream has no table; leave out \"table\"");

    LinePrinter printer{session, flags.timestamps};
    const auto show = [&](const rapidjson::Document& line) {
        if (format->is_default()) return printer.print(line);
        session.out.write(format->line(line));
        return session.out.flush();
    };
    const LogClient client{session.client().host()};
    // Whoever reads our output may leave while nothing happens: the stream then ends without waiting for a line.
    const auto end = client.read(flags.name, {flags.follow, flags.tail, flags.since}, show, session.out.fd());
    return end ? ExitStatus::success : session.failure(end.error());
}

}  // namespace

Run logs_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_option("NAME", flags->name)->required();
    app.add_flag("-f,--follow", flags->follow);
    app.add_option("-n,--tail", flags->tail, "all");
    app.add_option("--since", flags->since);
    app.add_flag("-t,--timestamps", flags->timestamps);
    app.add_option("--format", flags->format, kFormatWords);
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
