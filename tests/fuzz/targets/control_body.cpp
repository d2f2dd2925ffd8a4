// What clients send to the control socket as bodies, filters and credentials: daemon/control/request_bodies.h,
// filters.h, docker_event.h, daemon/registry/registry_credentials.h. Each input is tried as each of them.
#include "daemon/control/docker_event.h"
#include "daemon/control/filters.h"
#include "daemon/control/request_bodies.h"
#include "daemon/registry/registry_credentials.h"
#include "daemon/registry/token_service.h"
#include "tests/fuzz/checks.h"

namespace brokerd::fuzz::control_body_target {
namespace {

void try_privileges(std::string_view body) {
    const auto privileges = parse_privileges(body);
    if (!privileges) return expect_sentence(privileges.error().message);
    for (const Privilege& privilege : *privileges) expect(!privilege.name.empty(), "a privilege has a name");
    const auto again = parse_privileges(json_text([&](JsonWriter& writer) { write_privileges(writer, *privileges); }));
    expect(again && *again == *privileges, "privileges are read as themselves");
    expect(added(*privileges, *privileges).empty(), "nothing is added to the same");
}

void try_requests(std::string_view body) {
    const auto limits = parse_limits_request(body);
    if (limits) {
        const std::string text = json_text([&](JsonWriter& writer) {
            writer.StartObject();
            write_members(writer, limits->limits);
            writer.EndObject();
        });
        const auto again = parse_limits_request(text);
        expect(again && again->limits.memory == limits->limits.memory && again->limits.pids == limits->limits.pids &&
                   again->limits.nano_cpus == limits->limits.nano_cpus,
               "limits are read as themselves", text);
        const std::string fault = limits_fault(limits->limits.applied_to({}));
        if (!fault.empty()) expect_sentence(fault);
    } else {
        expect_sentence(limits.error().message);
    }
    const auto install = parse_staged_install(body);
    if (!install) expect_sentence(install.error().message);
    const auto strings = parse_strings(body);
    if (!strings) expect_sentence(strings.error().message);
}

void try_filters(const std::string& text) {
    const auto filters = parse_filters(text);
    if (filters) {
        expect(filters->IsObject() && text.size() <= kMaxFilterBytes, "filters are an object within its limits");
    } else {
        expect_sentence(filters.error().message);
    }
    const auto filter = DockerEventFilter::parse(text);
    expect(filters || !filter, "what is no filter filters no events");
    const DockerEvent event{"enable", std::string(64, 'a'), "a/b:latest", {}};
    if (filter) static_cast<void>(filter->passes(event));
}

void try_credentials(std::string_view header) {
    const auto credentials = RegistryCredentials::from_header(header);
    if (!credentials) {
        // It says nothing of the content, so it is the same for all.
        expect_sentence(credentials.error().message);
        return expect(credentials.error().message.size() < 250, "an error about secrets quotes none");
    }
    for (const char c : credentials->registry_token) expect(c > ' ' && c < '\x7f', "a token can be a part of a head");
    for (const char c : basic_authorization(*credentials))
        expect(c >= ' ' && c < '\x7f', "a user and a password can be a part of a head");
    static_cast<void>(credentials->belong_to("docker.io"));
}

void try_token(std::string_view body) {
    const auto token = read_token(body, "auth.example");
    if (!token) return expect_sentence(token.error().message);
    expect(!token->value.empty() && token->value.size() <= 16384, "a token has some length");
    for (const char c : token->value) expect(c > ' ' && c < '\x7f', "a token can be a part of a head");
    const auto life = token->expires - std::chrono::steady_clock::now();
    expect(life <= std::chrono::hours{1}, "no token is used for longer than an hour");
}

}  // namespace

void try_input(std::string_view input) {
    try_privileges(input);
    try_requests(input);
    try_filters(std::string{input});
    try_credentials(input);
    try_token(input);
}

}  // namespace brokerd::fuzz::control_body_target
