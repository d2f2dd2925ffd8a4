#include "daemon/archive/pax_writer.h"

#include <new>
#include <utility>

namespace brokerd {

PaxWriter::PaxWriter(Sink sink) : sink_{std::move(sink)}, writer_{archive_write_new()} {
    archive* const writer = writer_.get();
    const bool is_ready =
        writer != nullptr && archive_write_set_format_pax_restricted(writer) == ARCHIVE_OK &&
        archive_write_set_format_option(writer, "pax", "xattrheader", "SCHILY") == ARCHIVE_OK &&  // which Docker knows
        archive_write_set_bytes_per_block(writer, 64 * 512) == ARCHIVE_OK &&
        archive_write_set_bytes_in_last_block(writer, 512) == ARCHIVE_OK &&
        archive_write_open(writer, this, nullptr, &PaxWriter::on_write, nullptr) == ARCHIVE_OK;
    if (!is_ready) throw std::bad_alloc{};
}

PaxWriter::~PaxWriter() {
    if (!wants_more_) return;
    wants_more_ = false;
    archive_write_fail(writer_.get());   // so that what an entry still lacks is not made up for with zeros
    archive_write_close(writer_.get());  // libarchive 3.6.2 frees its block here, and only here
}

int PaxWriter::close() {
    const int status = archive_write_close(writer_.get());
    wants_more_ = false;
    return status;
}

la_ssize_t PaxWriter::on_write(archive*, void* self, const void* bytes, std::size_t size) noexcept {
    const auto& writer = *static_cast<PaxWriter*>(self);
    if (writer.wants_more_) writer.sink_({static_cast<const char*>(bytes), size});
    return static_cast<la_ssize_t>(size);
}

}  // namespace brokerd
