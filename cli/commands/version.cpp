#include <fmt/format.h>

#include <CLI/App.hpp>
#include <array>
#include <memory>

#include "cli/command_table.h"
#include "cli/output/format.h"
#include "cli/output/printable.h"
#include "cli/session.h"

namespace brokerd::cli {
namespace {

constexpr std::array<std::string_view, 11> kFields{
    "Client",         "Client.Version",    "Client.Os", "Client.Arch", "Client.Socket",       "Server",
    "Server.Version", "Server.ApiVersion", "Server.Os", "Server.Arch", "Server.KernelVersion"};

/// The names that Docker and the image format have for architectures.
#if defined(__x86_64__)
constexpr const char* kArch = "amd64";
#elif defined(__aarch64__)
constexpr const char* kArch = "arm64";
#elif defined(__arm__)
constexpr const char* kArch = "arm";
#elif defined(__riscv)
constexpr const char* kArch = "riscv64";
#elif defined(__s390x__)
constexpr const char* kArch = "s390x";
#elif defined(__powerpc64__)
constexpr const char* kArch = "ppc64le";
#else
constexpr const char* kArch = "unknown";
#endif

rapidjson::Document client_and(const rapidjson::Document* server, const std::string& socket) {
    rapidjson::Document out{rapidjson::kObjectType};
    auto& memory = out.GetAllocator();
    rapidjson::Value client{rapidjson::kObjectType};
    client.AddMember("Version", BROKERD_VERSION, memory);
    client.AddMember("Os", "linux", memory);
    client.AddMember("Arch", rapidjson::StringRef(kArch), memory);
    client.AddMember("Socket", rapidjson::Value{socket, memory}, memory);
    out.AddMember("Client", client, memory);
    rapidjson::Value copy;
    if (server != nullptr) copy.CopyFrom(*server, memory);
    out.AddMember("Server", copy, memory);
    return out;
}

std::string line(std::string_view label, const std::string& value) {
    return value.empty() ? std::string{} : fmt::format(" {:<16}{}\n", label, printable(value));
}

std::string client_text(const std::string& socket) {
    return "Client:\n" + line("Version:", BROKERD_VERSION) + line("OS/Arch:", fmt::format("linux/{}", kArch)) +
           line("Control socket:", socket);
}

std::string server_text(const ControlClient::Version& version) {
    const auto member = [&](const char* key) { return string_member(version.document, key); };
    return fmt::format("\nServer: {}\n", printable(version.server)) + line("Version:", member("Version")) +
           line("API version:", member("ApiVersion")) +
           line("OS/Arch:", fmt::format("{}/{}", member("Os"), member("Arch"))) +
           line("Kernel version:", member("KernelVersion"));
}

ExitStatus run(const std::string& format_text, Session& session) {
    const auto format = Format::parse(format_text, kFields);
    if (!format) return session.usage_error(format.error().message);

    const auto server = session.client().version();
    const std::string& socket = session.client().host().str();
    if (!format->is_default()) {
        std::vector<rapidjson::Document> both;
        both.push_back(client_and(server ? &server->document : nullptr, socket));
        session.out.write(format->lines(both));
    } else {
        session.out.write(client_text(socket));
        if (server) session.out.write(server_text(*server));
    }
    // As docker does it: what is known of the client is shown all the same.
    return server ? ExitStatus::success : session.failure(server.error());
}

}  // namespace

Run version_command(CLI::App& app) {
    auto format = std::make_shared<std::string>();
    app.add_option("--format", *format, kFormatWords);
    return [format](Session& session) { return run(*format, session); };
}

}  // namespace brokerd::cli
