#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <optional>

#include "common/letter_case.h"
#include "common/protocol/control_api.h"
#include "common/secrets.h"
#include "daemon/control/filters.h"
#include "daemon/control/handlers.h"
#include "daemon/control/json_progress.h"
#include "daemon/control/operation_reply.h"
#include "daemon/operations/create.h"
#include "daemon/operations/install.h"
#include "daemon/operations/pull.h"
#include "daemon/operations/push.h"
#include "daemon/operations/running.h"
#include "daemon/operations/upkeep.h"

/// The plugin part of Docker's Engine API (docs.docker.com, "Engine API", "Plugin").
namespace brokerd {
namespace {

using Kind = OperationError::Kind;

/// Docker's rule for flags in queries (engine, httputils.BoolValue): everything but these is true, in any case of
/// letters. Docker's SDK for Python writes "False".
bool flag(const RoutedRequest& request, const std::string& name) {
    constexpr std::array<std::string_view, 5> kFalse{"", "0", "no", "false", "none"};
    const std::string value = request.parameter(name).value_or("");
    return std::none_of(kFalse.begin(), kFalse.end(),
                        [&](std::string_view word) { return equals_ignoring_case(value, word); });
}

/// remote= and X-Registry-Auth.
OperationResult<RemoteImage> remote_image(const RoutedRequest& request) {
    const auto reference = ImageReference::parse(request.parameter("remote").value_or(""));
    if (!reference) return fail(Kind::invalid, reference.error().message);
    auto credentials = RegistryCredentials::from_header(request.request.header("X-Registry-Auth"));
    if (!credentials) return fail(Kind::invalid, credentials.error().message);
    return RemoteImage{reference->with_default_tag(), *std::move(credentials)};
}

OperationResult<Privileges> sent_privileges(const RoutedRequest& request) {
    auto privileges = parse_privileges(request.request.body);
    if (!privileges) return fail(Kind::invalid, privileges.error().message);
    return *std::move(privileges);
}

/// filters={"enabled":["true"]} and the older {"enabled":{"true":true}}. As with Docker, a plugin matches where one
/// value of each filter does, enabled=true hides enabled=false, and users know the words of the errors.
struct ListFilter {
    std::optional<bool> enabled;
    std::vector<std::string> capabilities;

    [[nodiscard]] bool matches(const PluginRecord& plugin) const {
        if (enabled && plugin.enabled != *enabled) return false;
        return capabilities.empty() ||
               std::any_of(capabilities.begin(), capabilities.end(),
                           [&](const std::string& capability) { return plugin.config->declares(capability); });
    }
};

std::vector<std::string> filter_values(const rapidjson::Value& filter) {
    std::vector<std::string> values;
    if (filter.IsArray()) {
        for (const auto& value : filter.GetArray()) values.push_back(value.IsString() ? value.GetString() : "");
    } else if (filter.IsObject()) {
        for (const auto& value : filter.GetObject()) values.emplace_back(value.name.GetString());
    }
    return values;
}

OperationResult<ListFilter> list_filter(const std::string& text) {
    ListFilter filter;
    const auto document = parse_filters(text);
    if (!document) return fail(Kind::invalid, document.error().message);
    for (const auto& member : document->GetObject()) {
        const std::string name = member.name.GetString();
        const std::vector<std::string> values = filter_values(member.value);
        if (name == "capability") {
            filter.capabilities = values;
        } else if (name != "enabled") {
            return fail(Kind::invalid, fmt::format("Invalid filter '{}'", name));
        } else if (std::find(values.begin(), values.end(), "true") != values.end()) {
            filter.enabled = true;
        } else if (std::find(values.begin(), values.end(), "false") != values.end()) {
            filter.enabled = false;
        } else {
            return fail(Kind::invalid, fmt::format("Invalid filter 'enabled=[{}]'", fmt::join(values, " ")));
        }
    }
    return filter;
}

/// Plugins as Docker prints them, made where nobody waits for it.
ControlReply reply_of(const std::vector<PluginRecordPtr>& records) {
    return write_reply([&](JsonWriter& writer) {
        writer.StartArray();
        for (const PluginRecordPtr& record : records) write_docker_json(writer, *record);
        writer.EndArray();
    });
}

/// A pull or upgrade: an operation on a remote image that tells its progress. Where `name` (may be empty: as the image
/// is called) is one that a plugin can have, not an ID, it is told in a header, as clients of Docker expect it.
template <class Operation>
void start_transfer(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange,
                    const std::string& name, Operation operation) {
    auto image = remote_image(request);
    if (!image) return exchange.reply(error_reply::operation_failed(image.error()));
    auto granted = sent_privileges(request);
    if (!granted) return exchange.reply(error_reply::operation_failed(granted.error()));
    JobReply::Headers headers;
    if (const auto local = local_name(name, image->reference)) headers.emplace_back("Docker-Plugin-Name", *local);
    exchange.start_job([&events = rooms.docker_events, image = *std::move(image), granted = *std::move(granted),
                        headers = std::move(headers), operation = std::move(operation)](Job& job) {
        JsonProgress progress{job.reply, headers};
        const OnDone tell = [&](const PluginRecord& plugin) {
            events.tell({"pull", image.reference.familiar(), headers.empty() ? plugin.name : headers.front().second});
        };
        const auto plugin = operation(image, granted, progress, job.cancelled(), tell);
        plugin ? progress.finish() : progress.finish(plugin.error());
    });
}

/// Answers with what `write` writes of what an image in a registry asks for.
template <class Write>
void start_access_question(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange,
                           Write write) {
    auto image = remote_image(request);
    if (!image) return exchange.reply(error_reply::operation_failed(image.error()));
    exchange.start_job([&operations = rooms.operations, image = *std::move(image), write](Job& job) {
        const auto access = requested_access(operations, image, job.cancelled());
        if (!access) return job.reply.reply(error_reply::operation_failed(access.error()));
        job.reply.reply(write_reply([&](JsonWriter& writer) { write(writer, *access); }));
    });
}

/// timeout=SECONDS; 0, which docker clients send unless told otherwise, is no wish.
OperationResult<std::optional<std::chrono::seconds>> enable_timeout(const RoutedRequest& request) {
    constexpr int kLongest = 3600;
    const std::string text = request.parameter("timeout").value_or("0");
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0 || value > kLongest)
        return fail(Kind::invalid, "timeout is a number of seconds from 0 to 3600");
    if (value == 0) return std::optional<std::chrono::seconds>{};
    return std::optional{std::chrono::seconds{value}};
}

ControlReply nothing_to_say(const PluginRecordPtr&) {
    return {200, {}, {}, {}};
}

/// Tells of an `action` on the plugin that the client called `name`.
OnDone telling(DockerEvents& events, const char* action, const std::string& name) {
    return [&events, action, name](const PluginRecord& plugin) { events.tell({action, plugin.id, name}); };
}

template <class Format>
void reply_to(Job& job, const OperationResult<PluginRecordPtr>& result, Format format) {
    job.reply.reply(result ? format(*result) : error_reply::operation_failed(result.error()));
}

}  // namespace

void list_managed_plugins(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    auto filter = list_filter(request.parameter("filters").value_or(""));
    if (!filter) return exchange.reply(error_reply::operation_failed(filter.error()));
    rooms.shared.installed.ask(
        exchange, request.parameter("filters").value_or(""),
        [filter = *std::move(filter)](std::vector<PluginRecordPtr> records) {
            std::erase_if(records, [&](const PluginRecordPtr& record) { return !filter.matches(*record); });
            return reply_of(records);
        });
}

void inspect_managed_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    const Secrets secrets = flag(request, "show-secrets") ? Secrets::shown : Secrets::hidden;
    reply_from_record(rooms, request, exchange, [secrets](JsonWriter& writer, const PluginRecord& record) {
        write_docker_json(writer, record, secrets);
    });
}

void show_remote_privileges(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    start_access_question(rooms, request, exchange, [](JsonWriter& writer, const RequestedAccess& access) {
        write_privileges(writer, access.privileges);
    });
}

void show_remote_access(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    start_access_question(rooms, request, exchange, [](JsonWriter& writer, const RequestedAccess& access) {
        writer.StartObject();
        write_key(writer, "Privileges");
        write_privileges(writer, access.privileges);
        write_key(writer, "Undisclosed");
        write_privileges(writer, access.undisclosed);
        writer.EndObject();
    });
}

void pull_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    const std::string alias = request.parameter("name").value_or("");
    start_transfer(rooms, request, exchange, alias,
                   [&operations = rooms.operations, alias](const RemoteImage& image, const Privileges& granted,
                                                           Progress& progress, int cancelled, const OnDone& done) {
                       return pull(operations, image, alias, granted, progress, cancelled, done);
                   });
}

void upgrade_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    const std::string& name = request.path.find("name")->second;
    start_transfer(rooms, request, exchange, name,
                   [&operations = rooms.operations, name](const RemoteImage& image, const Privileges& granted,
                                                          Progress& progress, int cancelled, const OnDone& done) {
                       return upgrade(operations, name, image, granted, progress, cancelled, done);
                   });
}

void push_managed_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    auto credentials = RegistryCredentials::from_header(request.request.header("X-Registry-Auth"));
    if (!credentials) {
        return exchange.reply(error_reply::operation_failed({Kind::invalid, credentials.error().message}));
    }
    exchange.start_job([&operations = rooms.operations, name = request.path.find("name")->second,
                        credentials = *std::move(credentials)](Job& job) {
        JsonProgress progress{job.reply};
        const auto pushed = push_plugin(operations, name, credentials, progress, job.cancelled());
        if (!pushed) return progress.finish(pushed.error());
        progress.aux(json_text([&](JsonWriter& writer) {
            writer.StartObject();
            write_member(writer, "Tag", pushed->tag);
            write_member(writer, "Digest", pushed->digest.str());
            write_key(writer, "Size");
            writer.Uint64(pushed->size);
            writer.EndObject();
        }));
        progress.finish();
    });
}

void create_managed_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    exchange.start_job([&operations = rooms.operations, &events = rooms.docker_events,
                        name = request.parameter("name").value_or("")](Job& job) {
        const auto body = job.body.as_pipe();
        if (!body) return job.reply.reply(error_reply::operation_failed({Kind::invalid, body.error().message}));
        NoProgress progress;
        const OnDone tell = [&](const PluginRecord& made) { events.tell({"create", made.id, made.name}); };
        const auto plugin = create_plugin(operations, name, {body->get(), [&] { return job.body.end(); }}, progress,
                                          job.cancelled(), tell);
        plugin ? job.reply.reply({204, {}, {}, {}}) : job.reply.reply(error_reply::operation_failed(plugin.error()));
    });
}

void set_managed_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    auto arguments = parse_strings(request.request.body);
    if (!arguments) return exchange.reply(error_reply::operation_failed({Kind::invalid, arguments.error().message}));
    run_operation(
        rooms, exchange,
        [&operations = rooms.operations, name = request.path.find("name")->second, arguments = *std::move(arguments)] {
            return set_plugin(operations, name, arguments);
        },
        [](const PluginRecordPtr&) {
            return ControlReply{204, {}, {}, {}};
        });
}

void enable_managed_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    const auto timeout = enable_timeout(request);
    if (!timeout) return exchange.reply(error_reply::operation_failed(timeout.error()));
    exchange.start_job([&operations = rooms.operations, &events = rooms.docker_events,
                        name = request.path.find("name")->second, timeout = *timeout](Job& job) {
        const OnDone tell = telling(events, "enable", name);
        reply_to(job, enable_plugin(operations, name, timeout, job.cancelled(), tell), nothing_to_say);
    });
}

void disable_managed_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    exchange.start_job([&operations = rooms.operations, &events = rooms.docker_events,
                        name = request.path.find("name")->second, force = flag(request, "force")](Job& job) {
        const OnDone tell = telling(events, "disable", name);
        reply_to(job, disable_plugin(operations, name, force, job.cancelled(), tell), nothing_to_say);
    });
}

void remove_managed_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    exchange.start_job([&operations = rooms.operations, &events = rooms.docker_events,
                        name = request.path.find("name")->second, force = flag(request, "force")](Job& job) {
        const auto removed = remove_plugin(operations, name, force, job.cancelled(), telling(events, "remove", name),
                                           telling(events, "disable", name));
        reply_to(job, removed, [](const PluginRecordPtr& record) {
            return write_reply([&](JsonWriter& writer) { write_docker_json(writer, *record); });
        });
    });
}

}  // namespace brokerd
