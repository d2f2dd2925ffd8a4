#include "cli/registry/credential_helper.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "cli/process/child_process.h"
#include "common/json.h"
#include "common/os/system_error.h"
#include "common/os/unique_fd.h"

namespace brokerd::cli {
namespace {

using Clock = std::chrono::steady_clock;

/// Ours: tokens of cloud registries have a few thousand bytes.
constexpr std::size_t kMaxAnswerBytes = 64u << 10;
/// The protocol's word for a secret that is a token and not a password.
constexpr std::string_view kTokenUser = "<token>";
/// What helpers print and exit with 1 for, where they have nothing.
constexpr std::string_view kNotFound = "credentials not found";

/// A helper is looked up in PATH: its name must not be a path.
bool is_helper_name(std::string_view name) {
    constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    return !name.empty() && name.find_first_not_of(kAllowed) == std::string_view::npos;
}

UniqueFd file_with(std::string_view text) {
    UniqueFd file{::memfd_create("server", MFD_CLOEXEC)};
    if (!file || ::pwrite(file.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
        throw_errno("memfd_create");
    }
    return file;
}

/// All that comes until `end`; the error is what was wrong with it.
Result<std::string> read_until(int fd, Clock::time_point end) {
    std::string out;
    std::array<char, 4096> piece;
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
        pollfd polled{fd, POLLIN, 0};
        const int ready = left <= 0 ? 0 : ::poll(&polled, 1, static_cast<int>(left));
        if (ready == 0) return fail("does not answer");
        const ssize_t count = ready < 0 ? -1 : ::read(fd, piece.data(), piece.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail(errno_text(errno));
        if (count == 0) return out;
        out.append(piece.data(), static_cast<std::size_t>(count));
        if (out.size() > kMaxAnswerBytes) return fail("answers with too much");
    }
}

Result<Credentials> credentials_of(const std::string& answer) {
    const auto document = parse_json(answer);
    if (!document || !document->IsObject()) return fail("does not answer with a JSON object");
    std::string user = string_member(*document, "Username");
    std::string secret = string_member(*document, "Secret");
    if (user == kTokenUser) return Credentials{{}, {}, std::move(secret), {}};
    return Credentials{std::move(user), std::move(secret), {}, {}};
}

}  // namespace

Result<Credentials> ask_credential_helper(std::string_view name, std::string_view server,
                                          std::chrono::milliseconds time) {
    const auto end = Clock::now() + time;
    if (!is_helper_name(name)) return fail(fmt::format("\"{}\" is not the name of a credential helper", name));
    const std::string program = fmt::format("docker-credential-{}", name);
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno("pipe");
    const UniqueFd reader{ends[0]};
    UniqueFd writer{ends[1]};
    const UniqueFd question = file_with(server);
    auto child = ChildProcess::start({program, "get"}, {question.get(), writer.get(), -1});
    if (!child) return fail(child.error());
    writer.reset();

    const auto answer = read_until(reader.get(), end);
    if (!answer) return fail(fmt::format("{} {}", program, answer.error().message));
    const int status = child->wait();
    if (status != 0 && answer->find(kNotFound) != std::string::npos) return Credentials{};
    if (status != 0) return fail(fmt::format("{} failed with status {}", program, status));
    auto credentials = credentials_of(*answer);
    if (!credentials) return fail(fmt::format("{} {}", program, credentials.error().message));
    return std::move(*credentials);
}

}  // namespace brokerd::cli
