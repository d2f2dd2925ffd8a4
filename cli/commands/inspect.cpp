#include <fmt/format.h>

#include <CLI/App.hpp>
#include <memory>

#include "cli/command_table.h"
#include "cli/output/format.h"
#include "cli/output/printable.h"
#include "cli/plugin_fields.h"
#include "cli/session.h"

namespace brokerd::cli {
namespace {

struct Flags {
    std::vector<std::string> names;
    std::string format;
};

/// The daemon's own objects as one array, or through the template.
std::string shown(const std::vector<std::string>& found, const Format& format) {
    if (format.is_default()) return indented_json(fmt::format("[{}]", fmt::join(found, ","))) + '\n';
    std::vector<rapidjson::Document> objects;
    for (const std::string& json : found) {
        if (auto object = parse_json(json)) objects.push_back(std::move(*object));
    }
    return format.lines(objects);
}

ExitStatus run(const Flags& flags, Session& session) {
    const auto format = Format::parse(flags.format, kInspectFields);
    if (!format) return session.usage_error(format.error().message);

    ExitStatus status = ExitStatus::success;
    std::vector<std::string> found;
    for (const std::string& name : flags.names) {
        if (name.empty()) return session.usage_error("a plugin's name is empty");
        auto json = session.client().inspect(name);
        if (json) {
            found.push_back(std::move(*json));
            continue;
        }
        status = session.failure(json.error());
        if (status == ExitStatus::no_daemon) return status;  // it would be so for every other name
    }
    session.out.write(shown(found, *format));
    return status;
}

}  // namespace

Run inspect_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_option("NAME", flags->names)->required();
    app.add_option("--format", flags->format);
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
