#include "daemon/archive/tar_writer.h"

#include <archive_entry.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>

#include "common/os/system_error.h"
#include "daemon/archive/escaped_name.h"
#include "daemon/archive/pax_writer.h"

namespace brokerd {
namespace {

constexpr std::size_t kCopyBytes = std::size_t{256} << 10;

struct FreeEntry {
    void operator()(archive_entry* entry) const noexcept { archive_entry_free(entry); }
};

}  // namespace

struct TarWriter::State {
    Sink sink;
    std::optional<Error> error;  ///< the first one; nothing more is written
    PaxWriter writer;

    explicit State(Sink to) : sink{std::move(to)}, writer{[this](std::string_view bytes) { take(bytes); }} {}

    void take(std::string_view bytes) noexcept {
        if (error) return;
        try {
            const auto taken = sink(bytes);
            if (!taken) error = taken.error();
        } catch (const std::exception& failure) {
            error = Error{failure.what()};
        }
    }

    Result<bool> outcome(int status, const std::string& path) {
        if (error) return fail(*error);
        if (status >= ARCHIVE_OK) return true;
        const char* const text = archive_error_string(writer.get());
        error =
            Error{fmt::format("cannot write {} to the archive: {}", escaped_name(path), text ? text : "unknown error")};
        return fail(*error);
    }

    Result<bool> header(const std::string& path, bool is_directory, std::uint64_t size) {
        if (error) return fail(*error);
        const std::unique_ptr<archive_entry, FreeEntry> entry{archive_entry_new()};
        archive_entry_copy_pathname(entry.get(), path.c_str());
        archive_entry_set_filetype(entry.get(), is_directory ? AE_IFDIR : AE_IFREG);
        archive_entry_set_perm(entry.get(), is_directory ? 0755 : 0644);
        archive_entry_set_uid(entry.get(), 0);
        archive_entry_set_gid(entry.get(), 0);
        archive_entry_set_mtime(entry.get(), 0, 0);
        archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
        return outcome(archive_write_header(writer.get(), entry.get()), path);
    }

    Result<bool> data(const std::string& path, std::string_view bytes) {
        const la_ssize_t written = archive_write_data(writer.get(), bytes.data(), bytes.size());
        if (!error && written == static_cast<la_ssize_t>(bytes.size())) return true;
        return outcome(ARCHIVE_FATAL, path);
    }
};

TarWriter::TarWriter(Sink sink) : state_{std::make_unique<State>(std::move(sink))} {}
TarWriter::TarWriter(TarWriter&&) noexcept = default;
TarWriter::~TarWriter() = default;

Result<bool> TarWriter::add_directory(const std::string& path) {
    return state_->header(path + '/', true, 0);
}

Result<bool> TarWriter::add_file(const std::string& path, std::string_view bytes) {
    auto done = state_->header(path, false, bytes.size());
    if (done && !bytes.empty()) done = state_->data(path, bytes);
    return done;
}

Result<bool> TarWriter::add_file(const std::string& path, int fd, std::uint64_t size) {
    auto done = state_->header(path, false, size);
    if (!done) return done;
    const auto buffer = std::make_unique_for_overwrite<std::array<char, kCopyBytes>>();
    for (std::uint64_t left = size; left > 0;) {
        const ssize_t got = read(fd, buffer->data(), std::min<std::uint64_t>(left, buffer->size()));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            state_->error = Error{fmt::format("cannot read what is to be {} in the archive: {}", escaped_name(path),
                                              got < 0 ? errno_text(errno) : "it is shorter than it was")};
            return fail(*state_->error);
        }
        done = state_->data(path, {buffer->data(), static_cast<std::size_t>(got)});
        if (!done) return done;
        left -= static_cast<std::uint64_t>(got);
    }
    return true;
}

Result<bool> TarWriter::finish() {
    if (state_->error) return fail(*state_->error);
    return state_->outcome(state_->writer.close(), "its end");
}

}  // namespace brokerd
