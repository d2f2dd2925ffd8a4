#include "daemon/archive/tar_writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>

#include "common/os/system_error.h"
#include "daemon/archive/escaped_name.h"

namespace brokerd {
namespace {

constexpr std::size_t kCopyBytes = std::size_t{256} << 10;

struct FreeArchive {
    void operator()(archive* writer) const noexcept { archive_write_free(writer); }
};
struct FreeEntry {
    void operator()(archive_entry* entry) const noexcept { archive_entry_free(entry); }
};

}  // namespace

struct TarWriter::State {
    Sink sink;
    std::optional<Error> error;  ///< the first one; nothing more is written
    bool closing = false;        ///< without finish(), freeing the writer must not write an archive's end
    std::unique_ptr<archive, FreeArchive> writer;

    /// Never fails to libarchive (3.6.2), which would then leak its buffer: the error is told after the call.
    static la_ssize_t on_write(archive*, void* self, const void* bytes, std::size_t size) noexcept {
        auto& state = *static_cast<State*>(self);
        try {
            if (!state.error) {
                const auto taken = state.sink({static_cast<const char*>(bytes), size});
                if (!taken) state.error = taken.error();
            }
        } catch (const std::exception& failure) {
            state.error = Error{failure.what()};
        }
        return static_cast<la_ssize_t>(size);
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

TarWriter::TarWriter(Sink sink) : state_{std::make_unique<State>()} {
    state_->sink = std::move(sink);
    state_->writer.reset(archive_write_new());
    if (!state_->writer) throw std::bad_alloc{};
    archive_write_set_format_pax_restricted(state_->writer.get());
    archive_write_set_bytes_per_block(state_->writer.get(), 64 * 512);
    archive_write_set_bytes_in_last_block(state_->writer.get(), 512);  // no padding beyond what the format needs
    if (archive_write_open(state_->writer.get(), state_.get(), nullptr, &State::on_write, nullptr) != ARCHIVE_OK) {
        state_->error = Error{"cannot start an archive: out of memory"};
    }
}

TarWriter::TarWriter(TarWriter&&) noexcept = default;

TarWriter::~TarWriter() {
    if (!state_) return;
    if (!state_->closing && !state_->error) state_->error = Error{"the archive was not finished"};
}

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
    state_->closing = true;
    return state_->outcome(archive_write_close(state_->writer.get()), "its end");
}

}  // namespace brokerd
