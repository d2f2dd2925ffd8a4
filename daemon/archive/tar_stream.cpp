#include "daemon/archive/tar_stream.h"

#include <fmt/format.h>

#include "daemon/archive/escaped_name.h"
#include "daemon/archive/refused.h"

namespace brokerd {

TarStream::TarStream(FdSource& file, Encoding encoding, const ArchiveLimits& limits, bool hashed)
    : file_{file}, limits_{limits}, source_{decompress(file, encoding)}, reader_{archive_read_new()} {
    if (hashed) hash_.emplace();
    if (!reader_) throw std::bad_alloc{};
    archive_read_support_format_tar(reader_.get());
    archive_read_support_format_empty(reader_.get());
    check(archive_read_open(reader_.get(), this, nullptr, &TarStream::on_read, nullptr));
}

la_ssize_t TarStream::on_read(archive* reader, void* self, const void** bytes) noexcept {
    auto& stream = *static_cast<TarStream*>(self);
    try {
        const std::string_view piece = stream.pull();
        *bytes = piece.data();
        return static_cast<la_ssize_t>(piece.size());
    } catch (...) {
        stream.failure_ = std::current_exception();
        archive_set_error(reader, -1, "the source failed");
        return -1;
    }
}

std::string_view TarStream::pull() {
    const std::string_view piece = source_->next();
    if (hash_) hash_->update(piece);
    bytes_ += piece.size();
    if (bytes_ > limits_.stream_bytes)
        throw Refused{fmt::format("is more than {} bytes when uncompressed", limits_.stream_bytes)};
    if (bytes_ > limits_.ratio_from && bytes_ / limits_.ratio > file_.bytes()) {
        throw Refused{fmt::format("unpacks to more than {} times its size, which only archives made to fill disks do",
                                  limits_.ratio)};
    }
    return piece;
}

void TarStream::check(int status) {
    if (failure_) std::rethrow_exception(failure_);
    if (status == ARCHIVE_OK) return;
    const char* const text = archive_error_string(reader_.get());
    throw Refused{fmt::format("is no good tar archive: {}", escaped_text(text ? text : "damaged", 200))};
}

archive_entry* TarStream::next() {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(reader_.get(), &entry);
    if (status == ARCHIVE_EOF && !failure_) return nullptr;
    check(status);
    return entry;
}

TarStream::Block TarStream::next_block() {
    const void* bytes = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    do {
        const int status = archive_read_data_block(reader_.get(), &bytes, &size, &offset);
        if (status == ARCHIVE_EOF && !failure_) return {};
        check(status);
    } while (size == 0);
    if (offset < 0) throw Refused{"is no good tar archive: a sparse file's map is damaged"};
    return {{static_cast<const char*>(bytes), size}, static_cast<std::uint64_t>(offset)};
}

void TarStream::finish() {
    while (!pull().empty()) {
    }
}

}  // namespace brokerd
