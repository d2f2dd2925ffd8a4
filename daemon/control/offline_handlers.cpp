#include <fmt/format.h>

#include "common/json_members.h"
#include "daemon/control/handlers.h"
#include "daemon/control/json_progress.h"
#include "daemon/control/operation_reply.h"
#include "daemon/control/request_bodies.h"
#include "daemon/operations/import.h"
#include "daemon/operations/offline.h"
#include "daemon/operations/upkeep.h"

/// brokerd's own calls for managed plugins: what Docker's API has no words for.
namespace brokerd {
namespace {

using Kind = OperationError::Kind;

void write_identity(JsonWriter& writer, const PluginRecord& record) {
    writer.StartObject();
    write_member(writer, "Id", record.id);
    write_member(writer, "Name", record.name);
    writer.EndObject();
}

}  // namespace

void show_granted_privileges(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    reply_from_record(rooms, request, exchange, [](JsonWriter& writer, const PluginRecord& record) {
        writer.StartObject();
        write_key(writer, "Privileges");
        write_privileges(writer, record.granted);
        writer.EndObject();
    });
}

void load_plugin(const ControlRooms& rooms, const RoutedRequest&, const Exchange& exchange) {
    exchange.start_job([&operations = rooms.operations](Job& job) {
        const auto body = job.body.as_pipe();
        if (!body) return job.reply.reply(error_reply::operation_failed({Kind::invalid, body.error().message}));
        JsonProgress progress{job.reply};
        const auto staged =
            load_archive(operations, {body->get(), [&] { return job.body.end(); }}, progress, job.cancelled());
        if (!staged) return progress.finish(staged.error());
        progress.aux(json_text([&](JsonWriter& writer) {
            writer.StartObject();
            write_member(writer, "Digest", staged->digest.str());
            write_member(writer, "Reference", staged->reference);
            write_key(writer, "Privileges");
            write_privileges(writer, staged->privileges);
            write_key(writer, "Undisclosed");
            write_privileges(writer, staged->undisclosed);
            write_key(writer, "Settings");
            write_strings(writer, staged->settings);
            writer.EndObject();
        }));
        progress.finish();
    });
}

void install_loaded_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    const auto digest = Digest::parse(request.parameter("digest").value_or(""));
    if (!digest) return exchange.reply(error_reply::operation_failed({Kind::invalid, digest.error().message}));
    auto install = parse_staged_install(request.request.body);
    if (!install) return exchange.reply(error_reply::operation_failed({Kind::invalid, install.error().message}));
    exchange.start_job([&operations = rooms.operations, &events = rooms.docker_events, digest = *digest,
                        name = request.parameter("name").value_or(""), install = *std::move(install)](Job& job) {
        NoProgress progress;
        const OnDone tell = [&](const PluginRecord& made) { events.tell({"create", made.id, made.name}); };
        const auto plugin = install_staged(operations, digest, name, install.privileges, install.settings, progress,
                                           job.cancelled(), tell);
        if (!plugin) return job.reply.reply(error_reply::operation_failed(plugin.error()));
        job.reply.reply(write_reply([&](JsonWriter& writer) { write_identity(writer, **plugin); }, 201));
    });
}

void save_managed_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    exchange.start_job([&operations = rooms.operations, name = request.path.find("name")->second](Job& job) {
        const auto saved = save_plugin(operations, name, [&](std::string_view bytes) -> Result<bool> {
            if (!job.reply.started()) job.reply.start(200, "application/x-tar");
            if (!job.reply.write(bytes)) return fail("the reader of the archive has gone");
            return true;
        });
        if (saved) return job.reply.finish();
        // Once started, the missing last chunk says that the archive is not whole.
        if (!job.reply.started()) job.reply.reply(error_reply::operation_failed(saved.error()));
    });
}

void import_docker_plugins(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    const auto document = parse_json(request.request.body);
    const std::string path = document && document->IsObject() ? string_member(*document, "Path") : "";
    if (!path.starts_with('/')) {
        return exchange.reply(error_reply::operation_failed(
            {Kind::invalid, "the body must be {\"Path\": \"…\"} with the absolute path of an engine's plugins"}));
    }
    exchange.start_job([&operations = rooms.operations, &events = rooms.docker_events, path](Job& job) {
        JsonProgress progress{job.reply};
        const OnDone tell = [&](const PluginRecord& made) { events.tell({"create", made.id, made.name}); };
        const auto imported = import_plugins(operations, path, progress, job.cancelled(), tell);
        if (!imported) return progress.finish(imported.error());
        progress.aux(json_text([&](JsonWriter& writer) {
            writer.StartObject();
            write_key(writer, "Imported");
            writer.StartArray();
            for (const PluginRecordPtr& plugin : imported->plugins) write_identity(writer, *plugin);
            writer.EndArray();
            write_key(writer, "Skipped");
            writer.StartArray();
            for (const auto& [name, reason] : imported->skipped) {
                writer.StartObject();
                write_member(writer, "Name", name);
                write_member(writer, "Reason", reason);
                writer.EndObject();
            }
            writer.EndArray();
            writer.EndObject();
        }));
        progress.finish();
    });
}

void prune_blobs(const ControlRooms& rooms, const RoutedRequest&, const Exchange& exchange) {
    run_operation(
        rooms, exchange, [&operations = rooms.operations] { return prune(operations); },
        [](const Collected& collected) {
            return write_reply([&](JsonWriter& writer) {
                writer.StartObject();
                std::vector<std::string> digests;
                for (const Digest& digest : collected.digests) digests.push_back(digest.str());
                write_key(writer, "BlobsDeleted");
                write_strings(writer, digests);
                write_key(writer, "DirectoriesDeleted");
                write_strings(writer, {});
                write_key(writer, "SpaceReclaimed");
                writer.Uint64(collected.bytes);
                writer.EndObject();
            });
        });
}

}  // namespace brokerd
