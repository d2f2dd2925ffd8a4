#include <fmt/format.h>

#include <CLI/App.hpp>
#include <memory>

#include "cli/command_table.h"
#include "cli/output/format.h"
#include "cli/output/printable.h"
#include "cli/plugin_fields.h"
#include "cli/session.h"
#include "common/json_members.h"

namespace brokerd::cli {
namespace {

struct Flags {
    std::vector<std::string> names;
    std::string format;
    bool show_secrets = false;
};

/// docker's templates know an installed plugin's Id as .ID, too.
void add_docker_id(rapidjson::Document& object) {
    const rapidjson::Value* id = member(object, "Id");
    if (id == nullptr) return;
    object.AddMember("ID", rapidjson::Value{*id, object.GetAllocator()}, object.GetAllocator());
}

/// The daemon's own objects as one array, or through the template.
std::string shown(const std::vector<std::string>& found, const Format& format, bool is_json) {
    if (format.is_default()) return indented_json(fmt::format("[{}]", fmt::join(found, ","))) + '\n';
    std::vector<rapidjson::Document> objects;
    for (const std::string& json : found) {
        auto object = parse_json(json);
        if (!object) continue;
        if (!is_json) add_docker_id(*object);
        objects.push_back(std::move(*object));
    }
    return format.lines(objects);
}

/// Docker's object with one member more: what brokerd observes of the plugin (state, restarts, last exit, leases).
std::string with_view(std::string plugin, const std::string& view) {
    const std::size_t end = plugin.rfind('}');
    return end == std::string::npos ? plugin : plugin.insert(end, fmt::format(",\"Broker\":{}", view));
}

/// The object for a person who asks for `name`: Docker's own for a managed plugin, as docker prints it, with brokerd's
/// view as a member; else that view. A dockerd knows the first only.
Result<std::string, ClientError> object_of(const std::string& name, Secrets secrets, const Session& session) {
    constexpr int kNotFound = 404;
    auto view = session.client().inspect(name);
    if (!view && view.error().status != kNotFound) return view;
    if (view) {
        const auto document = parse_json(*view);
        if (!document || string_member(*document, "Kind") != "managed") return view;
    }
    auto plugin = session.managed().inspect(name, secrets);
    if (plugin) return view ? with_view(std::move(plugin->json), *view) : std::move(plugin->json);
    if (!view && view.error().kind == ClientError::Kind::other_daemon) return fail(plugin.error());
    // Neither knows the name: the first said so in brokerd's words. Or the view is all there is.
    if (view || plugin.error().status == kNotFound) return view;
    return fail(plugin.error());
}

ExitStatus run(const Flags& flags, Session& session) {
    const auto format = Format::parse(flags.format, kInspectFields, Template::ListStyle::brackets);
    if (!format) return session.usage_error(format.error().message);

    ExitStatus status = ExitStatus::success;
    std::vector<std::string> found;
    for (const std::string& name : flags.names) {
        if (name.empty()) return session.usage_error("a plugin's name is empty");
        auto json = object_of(name, flags.show_secrets ? Secrets::shown : Secrets::hidden, session);
        if (json) {
            found.push_back(std::move(*json));
            continue;
        }
        status = session.failure(json.error());
        if (status == ExitStatus::no_daemon) return status;  // it would be so for every other name
    }
    session.out.write(shown(found, *format, flags.format == "json"));
    return status;
}

}  // namespace

Run inspect_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_option("NAME", flags->names)->required();
    app.add_option("-f,--format", flags->format, kFormatWords);
    app.add_flag("--show-secrets", flags->show_secrets);
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
