#include "common/managed_client.h"

#include <fmt/format.h>

#include <optional>

#include "common/control_exchange.h"
#include "common/json_members.h"
#include "common/protocol/control_api.h"

namespace brokerd {
namespace {

using namespace std::chrono_literals;
using Kind = ClientError::Kind;
using Privileges = ManagedClient::Privileges;

/// Ours: the daemon answers these from memory or with one small file.
constexpr std::chrono::milliseconds kAnswerTime = 60s;
/// Ours: a registry that is slow, and the daemon's own retries, come before the first word of an answer; unpacking
/// gigabytes before the only one. The user may give up at any time, and the daemon says by itself that it gave up.
constexpr std::chrono::milliseconds kWorkTime = 30min;
/// Ours: a progress line is a few hundred bytes, the last one of `load` and `import` lists names.
constexpr std::size_t kMaxLineBytes = 8u << 20;
/// Ours: so much of an archive waits for its receiver.
constexpr std::size_t kMaxWaitingBytes = 1u << 20;

/// Docker's Engine API, where a plugin's name is part of the path.
std::string docker_path(std::string_view name, std::string_view rest) {
    return fmt::format("/plugins/{}{}", percent_encoded_path(name), rest);
}

std::string broker_path(std::string_view name, std::string_view rest) {
    return fmt::format("{}/{}{}", control_api::kPlugins, percent_encoded_path(name), rest);
}

std::uint64_t number_member(const rapidjson::Value& object, const char* key) {
    const rapidjson::Value* value = member(object, key);
    return value != nullptr && value->IsUint64() ? value->GetUint64() : 0;
}

/// An item that is no privilege is not skipped: what is granted must be all that is asked for.
std::optional<Privileges> privileges_of(const rapidjson::Value* array) {
    if (array == nullptr || array->IsNull()) return Privileges{};
    if (!array->IsArray()) return std::nullopt;
    Privileges out;
    for (const auto& item : array->GetArray()) {
        RequestedPrivilege privilege{string_member(item, "Name"), string_member(item, "Description"),
                                     strings_of(member(item, "Value"))};
        if (privilege.name.empty()) return std::nullopt;
        out.push_back(std::move(privilege));
    }
    return out;
}

void write_privileges(JsonWriter& writer, const Privileges& privileges) {
    writer.StartArray();
    for (const RequestedPrivilege& privilege : privileges) {
        writer.StartObject();
        write_member(writer, "Name", privilege.name);
        write_member(writer, "Description", privilege.description);
        write_key(writer, "Value");
        write_strings(writer, privilege.value);
        writer.EndObject();
    }
    writer.EndArray();
}

std::string privileges_json(const Privileges& privileges) {
    return json_text([&](JsonWriter& writer) { write_privileges(writer, privileges); });
}

/// Docker's form of an error while the work goes on, or empty.
std::string error_of(const rapidjson::Document& line) {
    const rapidjson::Value* detail = member(line, "errorDetail");
    std::string text = detail != nullptr ? string_member(*detail, "message") : std::string{};
    return text.empty() ? string_member(line, "error") : text;
}

ProgressMessage message_of(const rapidjson::Document& line) {
    ProgressMessage message{string_member(line, "status"), string_member(line, "id"), 0, 0};
    if (const rapidjson::Value* detail = member(line, "progressDetail")) {
        message.current = number_member(*detail, "current");
        message.total = number_member(*detail, "total");
    }
    return message;
}

Result<int, ClientError> done(const Result<HttpReply, ClientError>& reply) {
    if (!reply) return fail(reply.error());
    return 0;
}

Result<int, ClientError> done(const Result<rapidjson::Document, ClientError>& aux) {
    if (!aux) return fail(aux.error());
    return 0;
}

}  // namespace

Result<Privileges, ClientError> ManagedClient::remote_privileges(std::string_view remote, std::string_view auth) const {
    HttpRequest request{"GET", "/plugins/privileges?remote=" + percent_encoded_value(remote), {}};
    request.registry_auth = auth;
    const auto reply = ask(http_, request, kWorkTime);
    if (!reply) return fail(reply.error());
    const auto document = parse_array(reply->body);
    auto privileges = document ? privileges_of(&*document) : std::nullopt;
    if (!privileges) return fail(malformed(http_.host().str(), "not a list of privileges"));
    return std::move(*privileges);
}

Result<Privileges, ClientError> ManagedClient::undisclosed_access(std::string_view remote,
                                                                  std::string_view auth) const {
    HttpRequest request{
        "GET", fmt::format("{}?remote={}", control_api::kPrivileges, percent_encoded_value(remote)), {}};
    request.registry_auth = auth;
    const auto document = ask_json(http_, request, kWorkTime);
    if (!document) return fail(document.error());
    auto privileges = privileges_of(member(*document, "Undisclosed"));
    if (!privileges) return fail(malformed(http_.host().str(), "not a list of privileges"));
    return std::move(*privileges);
}

Result<Privileges, ClientError> ManagedClient::granted_privileges(std::string_view name) const {
    const auto document = ask_json(http_, {"GET", broker_path(name, "/privileges"), {}}, kAnswerTime);
    if (!document) return fail(document.error());
    auto privileges = privileges_of(member(*document, "Privileges"));
    if (!privileges) return fail(malformed(http_.host().str(), "not a list of privileges"));
    return std::move(*privileges);
}

Result<rapidjson::Document, ClientError> ManagedClient::work(const HttpRequest& request,
                                                             const ProgressHandler& progress, int interrupt_fd,
                                                             std::string* name) const {
    rapidjson::Document aux;
    std::string error;
    JsonLines lines{[&](const rapidjson::Document& line) {
        if (std::string text = error_of(line); !text.empty()) error = std::move(text);
        if (const rapidjson::Value* value = member(line, "aux")) aux.CopyFrom(*value, aux.GetAllocator());
        if (const ProgressMessage message = message_of(line); !message.status.empty()) progress(message);
        return true;
    }};
    const UnixHttp::Receiver receive = [&](std::string& body) { return lines(body); };
    const auto end = http_.stream(request, {kWorkTime, kMaxLineBytes}, receive, {-1, interrupt_fd});
    if (!error.empty()) return fail(ClientError{Kind::answered, 200, std::move(error)});
    if (!end) return fail(to_client_error(end.error(), http_.host().str()));
    if (lines.saw_nonsense()) return fail(malformed(http_.host().str(), "a progress line that is not a JSON object"));
    if (!end->reply.good()) return fail(refused(end->reply));
    if (name != nullptr) *name = end->reply.plugin_name;
    return aux;
}

Result<std::string, ClientError> ManagedClient::pull(std::string_view remote, std::string_view name,
                                                     const Privileges& granted, std::string_view auth,
                                                     const ProgressHandler& progress, int interrupt_fd) const {
    const std::string body = privileges_json(granted);
    HttpRequest request{
        "POST",
        fmt::format("/plugins/pull?remote={}&name={}", percent_encoded_value(remote), percent_encoded_value(name)),
        body};
    request.registry_auth = auth;
    std::string installed;
    const auto end = work(request, progress, interrupt_fd, &installed);
    if (!end) return fail(end.error());
    return installed;
}

Result<int, ClientError> ManagedClient::upgrade(std::string_view name, std::string_view remote,
                                                const Privileges& granted, std::string_view auth,
                                                const ProgressHandler& progress, int interrupt_fd) const {
    const std::string body = privileges_json(granted);
    HttpRequest request{"POST", docker_path(name, "/upgrade?remote=" + percent_encoded_value(remote)), body};
    request.registry_auth = auth;
    return done(work(request, progress, interrupt_fd));
}

Result<int, ClientError> ManagedClient::push(std::string_view name, std::string_view auth,
                                             const ProgressHandler& progress, int interrupt_fd) const {
    HttpRequest request{"POST", docker_path(name, "/push"), {}};
    request.registry_auth = auth;
    return done(work(request, progress, interrupt_fd));
}

Result<int, ClientError> ManagedClient::create(std::string_view name, const BodyStream& tar, int interrupt_fd) const {
    HttpRequest request{"POST", "/plugins/create?name=" + percent_encoded_value(name), {}};
    request.stream = &tar;
    request.content_type = control_api::kTar;
    return done(ask(http_, request, kWorkTime, {-1, interrupt_fd}));
}

Result<ManagedClient::Plugin, ClientError> ManagedClient::inspect(std::string_view name, Secrets secrets) const {
    const std::string_view call = secrets == Secrets::shown ? "/json?show-secrets=true" : "/json";
    auto reply = ask(http_, {"GET", docker_path(name, call), {}}, kAnswerTime);
    if (!reply) return fail(reply.error());
    const auto document = parse_object(reply->body);
    if (!document) return fail(malformed(http_.host().str(), "not a JSON object"));
    const rapidjson::Value* enabled = member(*document, "Enabled");
    return Plugin{string_member(*document, "Name"), string_member(*document, "PluginReference"),
                  enabled != nullptr && enabled->IsTrue(), std::move(reply->body)};
}

Result<int, ClientError> ManagedClient::set(std::string_view name, const std::vector<std::string>& settings) const {
    const std::string body = json_text([&](JsonWriter& writer) { write_strings(writer, settings); });
    return done(ask(http_, {"POST", docker_path(name, "/set"), body}, kAnswerTime));
}

Result<int, ClientError> ManagedClient::set(std::string_view name, const std::vector<std::string>& settings,
                                            const LimitsChange& limits) const {
    const std::string body = json_text([&](JsonWriter& writer) {
        writer.StartObject();
        write_members(writer, limits);
        write_key(writer, "Settings");
        write_strings(writer, settings);
        writer.EndObject();
    });
    return done(ask(http_, {"POST", broker_path(name, "/limits"), body}, kAnswerTime));
}

Result<int, ClientError> ManagedClient::enable(std::string_view name, std::chrono::seconds timeout) const {
    const std::string question = fmt::format("/enable?timeout={}", timeout.count());
    return done(ask(http_, {"POST", docker_path(name, question), {}}, kWorkTime + timeout));
}

Result<int, ClientError> ManagedClient::disable(std::string_view name, bool force) const {
    return done(ask(http_, {"POST", docker_path(name, force ? "/disable?force=1" : "/disable"), {}}, kWorkTime));
}

Result<int, ClientError> ManagedClient::remove(std::string_view name, bool force) const {
    return done(ask(http_, {"DELETE", docker_path(name, force ? "?force=1" : ""), {}}, kWorkTime));
}

Result<ManagedClient::Staged, ClientError> ManagedClient::load(const BodyStream& tar, const ProgressHandler& progress,
                                                               int interrupt_fd) const {
    HttpRequest request{"POST", fmt::format("{}/load", control_api::kPlugins), {}};
    request.stream = &tar;
    request.content_type = control_api::kTar;
    const auto aux = work(request, progress, interrupt_fd);
    if (!aux) return fail(aux.error());
    auto privileges = privileges_of(member(*aux, "Privileges"));
    Staged staged{string_member(*aux, "Digest"),
                  string_member(*aux, "Reference"),
                  {},
                  privileges_of(member(*aux, "Undisclosed")).value_or(Privileges{}),
                  strings_of(member(*aux, "Settings"))};
    if (!privileges || staged.digest.empty()) {
        return fail(malformed(http_.host().str(), "it does not say what it loaded"));
    }
    staged.privileges = std::move(*privileges);
    return staged;
}

Result<std::string, ClientError> ManagedClient::install_staged(const Staged& staged, std::string_view name) const {
    const std::string body = json_text([&](JsonWriter& writer) {
        writer.StartObject();
        write_key(writer, "Privileges");
        write_privileges(writer, staged.privileges);
        write_key(writer, "Settings");
        write_strings(writer, staged.settings);
        writer.EndObject();
    });
    const std::string target = fmt::format("{}/install?digest={}&name={}", control_api::kPlugins,
                                           percent_encoded_value(staged.digest), percent_encoded_value(name));
    const auto document = ask_json(http_, {"POST", target, body}, kWorkTime);
    if (!document) return fail(document.error());
    return string_member(*document, "Name");
}

Result<int, ClientError> ManagedClient::save(std::string_view name, const UnixHttp::Receiver& receive,
                                             int interrupt_fd) const {
    const auto end = http_.stream({"GET", broker_path(name, "/save"), {}}, {kWorkTime, kMaxWaitingBytes}, receive,
                                  {-1, interrupt_fd});
    if (!end) return fail(to_client_error(end.error(), http_.host().str()));
    if (!end->reply.good()) return fail(refused(end->reply));
    return 0;
}

Result<ManagedClient::Imported, ClientError> ManagedClient::import(std::string_view path,
                                                                   const ProgressHandler& progress,
                                                                   int interrupt_fd) const {
    const std::string body = json_text([&](JsonWriter& writer) {
        writer.StartObject();
        write_member(writer, "Path", path);
        writer.EndObject();
    });
    const auto aux = work({"POST", fmt::format("{}/import", control_api::kPlugins), body}, progress, interrupt_fd);
    if (!aux) return fail(aux.error());
    Imported out;
    if (const rapidjson::Value* items = member(*aux, "Imported"); items != nullptr && items->IsArray()) {
        for (const auto& item : items->GetArray()) out.imported.push_back(string_member(item, "Name"));
    }
    if (const rapidjson::Value* items = member(*aux, "Skipped"); items != nullptr && items->IsArray()) {
        for (const auto& item : items->GetArray()) {
            out.skipped.push_back({string_member(item, "Name"), string_member(item, "Reason")});
        }
    }
    return out;
}

Result<ManagedClient::Pruned, ClientError> ManagedClient::prune() const {
    const auto document = ask_json(http_, {"POST", std::string{control_api::kPrune}, {}}, kWorkTime);
    if (!document) return fail(document.error());
    return Pruned{strings_of(member(*document, "BlobsDeleted")), strings_of(member(*document, "DirectoriesDeleted")),
                  number_member(*document, "SpaceReclaimed")};
}

}  // namespace brokerd
