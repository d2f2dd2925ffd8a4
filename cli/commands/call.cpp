#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <cerrno>
#include <memory>

#include "cli/command_table.h"
#include "cli/output/printable.h"
#include "cli/session.h"
#include "common/capability.h"
#include "common/json.h"
#include "common/os/system_error.h"
#include "common/os/unique_fd.h"

namespace brokerd::cli {
namespace {

/// What the control API takes (daemon/control/openapi.yaml); a request of the plugin protocol is a few hundred bytes.
constexpr std::size_t kMaxBodyBytes = 1u << 20;

struct Flags {
    std::string name;
    std::string method;
    std::string body = "{}";  // engines, too, send an object where a method has no arguments
};

Result<std::string> read_all(int fd, std::string_view what) {
    std::string out;
    std::string piece(64u << 10, '\0');
    for (;;) {
        const ssize_t count = ::read(fd, piece.data(), piece.size());
        if (count == 0) return out;
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail(fmt::format("cannot read {}: {}", what, errno_text(errno)));
        out.append(piece, 0, static_cast<std::size_t>(count));
        if (out.size() > kMaxBodyBytes) {
            return fail(
                fmt::format("{} is larger than {} MiB; that is no request to a plugin", what, kMaxBodyBytes >> 20));
        }
    }
}

Result<std::string> read_file(const std::string& path) {
    const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!file) return fail(fmt::format("cannot open {}: {}", path, errno_text(errno)));
    return read_all(file.get(), path);
}

Result<std::string> body_of(const Flags& flags, int input_fd) {
    if (flags.body == "-") return read_all(input_fd, "the standard input");
    if (flags.body.substr(0, 1) == "@") return read_file(flags.body.substr(1));
    return flags.body;
}

/// As it came in a pipe; to read on a terminal, where its bytes must not be obeyed either.
void show(const std::string& body, Output& out) {
    if (!out.is_terminal()) return out.write(body);
    const std::string json = indented_json(body);
    out.write(json.empty() ? printable_lines(body) : json);
    if (!body.empty()) out.write("\n");
}

/// Why the call failed, in the plugin's or the daemon's words; empty where it did not.
std::string refusal(const ControlClient::CallReply& reply) {
    std::string words;
    // Only the top level is looked at, so nothing here follows the depth of what the plugin wrote.
    if (const auto document = parse_json(reply.body)) {
        words = string_member(*document, "Err");
        if (words.empty() && reply.status >= 400) words = string_member(*document, "message");
    }
    if (words.empty() && reply.status >= 400) words = fmt::format("the answer has status {}", reply.status);
    return words;
}

ExitStatus run(const Flags& flags, Session& session) {
    if (flags.name.empty()) return session.usage_error("the plugin's name is empty");
    if (capability_of_method(flags.method).empty()) {
        return session.usage_error(
            fmt::format("\"{}\" is not a method; write Capability.Method, such as VolumeDriver.List", flags.method));
    }
    const auto body = body_of(flags, session.input_fd);
    if (!body) return session.failure(body.error().message);

    const auto reply = session.client().call(flags.name, flags.method, *body);
    if (!reply) return session.failure(reply.error());
    show(reply->body, session.out);
    const std::string words = refusal(*reply);
    if (words.empty()) return ExitStatus::success;
    return session.failure(fmt::format("{} of {}: {}", flags.method, flags.name, words));
}

}  // namespace

Run call_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_option("NAME", flags->name)->required();
    app.add_option("METHOD", flags->method)->required();
    app.add_option("BODY", flags->body);
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
