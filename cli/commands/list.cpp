#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <memory>

#include "cli/command_table.h"
#include "cli/output/colours.h"
#include "cli/output/format.h"
#include "cli/output/printable.h"
#include "cli/output/table.h"
#include "cli/plugin_fields.h"
#include "cli/plugin_filter.h"
#include "cli/session.h"

namespace brokerd::cli {
namespace {

/// Ours: enough to tell one reason from another; `inspect` and --no-trunc have the whole.
constexpr std::size_t kStatusPlaces = 60;
/// docker's, in its list.
constexpr std::size_t kIdPlaces = 12, kDescriptionPlaces = 45;

struct Flags {
    bool quiet = false;
    bool no_trunc = false;
    std::vector<std::string> filters;
    std::string format;
};

/// A cell for a table: never empty, so that columns can be counted.
std::string cell(const std::string& text) {
    return text.empty() ? "-" : printable(text);
}

std::string plugin_table(const std::vector<PluginView>& plugins, bool no_trunc, bool colours) {
    std::vector<std::vector<std::string>> rows{{"NAME", "KIND", "IMPLEMENTS", "STATUS", "ENDPOINT"}};
    for (const PluginView& plugin : plugins) {
        const std::string status = cell(status_text(plugin));
        rows.push_back({cell(plugin.name), cell(plugin.kind),
                        cell(fmt::format("{}", fmt::join(plugin.implements, ","))),
                        no_trunc ? status : shortened(status, kStatusPlaces), cell(plugin.endpoint)});
    }
    constexpr std::size_t kStatusColumn = 3;
    return aligned(rows, [&](std::size_t column, const std::string& text) {
        return coloured(text, colours && column == kStatusColumn ? colour_of_status(text) : Colour::none);
    });
}

/// As docker shows them in its list.
std::string short_id(const std::string& id) {
    return id.substr(0, kIdPlaces);
}
std::string short_description(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    return shortened(printable(text), kDescriptionPlaces);
}

/// With the members that docker has in its list: scripts ask for them.
std::vector<rapidjson::Document> objects(const std::vector<PluginView>& plugins, bool no_trunc) {
    std::vector<rapidjson::Document> out;
    for (const PluginView& plugin : plugins) {
        rapidjson::Document object = to_document(plugin);
        auto& memory = object.GetAllocator();
        const auto add = [&](const char* name, const std::string& value) {
            object.AddMember(rapidjson::StringRef(name), rapidjson::Value{value, memory}, memory);
        };
        add("Status", status_text(plugin));
        if (plugin.kind == "managed") {
            add("ID", no_trunc ? plugin.id : short_id(plugin.id));
            add("PluginReference", plugin.reference);
            if (!no_trunc) object["Description"].SetString(short_description(plugin.description), memory);
        }
        out.push_back(std::move(object));
    }
    return out;
}

ExitStatus run(const Flags& flags, Session& session) {
    const auto filter = PluginFilter::parse(flags.filters);
    if (!filter) return session.usage_error(filter.error().message);
    const auto format = Format::parse(flags.format, kListFields);
    if (!format) return session.usage_error(format.error().message);

    auto plugins = session.client().plugins();
    if (!plugins) return session.failure(plugins.error());
    std::erase_if(*plugins, [&](const PluginView& plugin) { return !filter->matches(plugin); });
    if (flags.quiet) {
        for (const PluginView& plugin : *plugins) session.out.write(printable(plugin.name) + '\n');
    } else if (format->is_default()) {
        session.out.write(plugin_table(*plugins, flags.no_trunc, session.out.has_colours()));
    } else {
        session.out.write(format->lines(objects(*plugins, flags.no_trunc)));
    }
    return ExitStatus::success;
}

}  // namespace

Run list_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_flag("-q,--quiet", flags->quiet);
    app.add_flag("--no-trunc", flags->no_trunc);
    app.add_option("-f,--filter", flags->filters, PluginFilter::words())->allow_extra_args(false);
    app.add_option("--format", flags->format, kFormatWords);
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
