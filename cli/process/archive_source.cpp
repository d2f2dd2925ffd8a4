#include "cli/process/archive_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "cli/process/child_process.h"
#include "common/os/system_error.h"
#include "common/os/unique_fd.h"

namespace brokerd::cli {
namespace {

/// Ours: so much of tar's complaints is shown.
constexpr std::size_t kMaxComplaint = 400;

/// The first line of a file in memory.
std::string first_line_of(int file) {
    std::array<char, kMaxComplaint> text{};
    const ssize_t count = ::pread(file, text.data(), text.size(), 0);
    std::string out(text.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    return out.substr(0, out.find('\n'));
}

std::vector<std::string> tar_arguments(const ArchiveOrder& order) {
    std::vector<std::string> out{"tar",      "-C",      order.path, "--numeric-owner", "--xattrs", "--xattrs-include=*",
                                 "--create", "--file=-"};
    if (order.compress) out.emplace_back("--gzip");
    out.emplace_back("--");
    out.insert(out.end(), order.members.begin(), order.members.end());
    return out;
}

std::optional<Error> missing_member(const ArchiveOrder& order) {
    for (const std::string& member : order.members) {
        if (::faccessat(AT_FDCWD, fmt::format("{}/{}", order.path, member).c_str(), F_OK, AT_EACCESS) == 0) continue;
        return Error{fmt::format("{} has no {}: {}; {} has {}", order.path, member, errno_text(errno), order.what,
                                 fmt::join(order.members, " and "))};
    }
    return std::nullopt;
}

}  // namespace

struct ArchiveSource::State {
    UniqueFd source;  ///< a file, or the end of tar's pipe
    UniqueFd complaints;
    std::optional<ChildProcess> tar;
    BodyStream stream;

    /// Why the archive that tar wrote is not whole; empty where it is.
    std::string missing() {
        const int status = tar->wait();
        if (status == 0) return {};
        const std::string words = first_line_of(complaints.get());
        return fmt::format("tar failed with status {}{}{}; nothing was installed", status, words.empty() ? "" : ": ",
                           words);
    }
};

ArchiveSource::ArchiveSource(std::unique_ptr<State> state) noexcept : state_{std::move(state)} {}
ArchiveSource::ArchiveSource(ArchiveSource&&) noexcept = default;
ArchiveSource::~ArchiveSource() = default;

const BodyStream& ArchiveSource::stream() const noexcept {
    return state_->stream;
}

Result<ArchiveSource> ArchiveSource::open(const ArchiveOrder& order, int input_fd) {
    auto state = std::make_unique<State>();
    if (order.path == "-") {
        if (order.compress) return fail("only a directory can be compressed; standard input is sent as it is");
        if (::isatty(input_fd) == 1) {
            return fail("standard input is a terminal; name a file, or redirect an archive into it");
        }
        state->stream.fd = input_fd;
        return ArchiveSource{std::move(state)};
    }
    // Not blocking: a pipe without a writer must not hang us here.
    state->source.reset(::open(order.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status {};
    if (!state->source || ::fstat(state->source.get(), &status) != 0) {
        return fail(fmt::format("cannot open {}: {}", order.path, errno_text(errno)));
    }
    if (!S_ISDIR(status.st_mode)) {
        if (order.compress) return fail(fmt::format("only a directory can be compressed; {} is a file", order.path));
        state->stream.fd = state->source.get();
        return ArchiveSource{std::move(state)};
    }
    if (auto error = missing_member(order)) return fail(std::move(*error));

    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno("pipe");
    state->source.reset(ends[0]);
    const UniqueFd writer{ends[1]};
    state->complaints.reset(::memfd_create("tar", MFD_CLOEXEC));
    auto tar = ChildProcess::start(tar_arguments(order), {-1, writer.get(), state->complaints.get()});
    if (!tar) return fail(tar.error());
    state->tar.emplace(std::move(*tar));
    state->stream = {state->source.get(), [raw = state.get()] { return raw->missing(); }};
    return ArchiveSource{std::move(state)};
}

}  // namespace brokerd::cli
