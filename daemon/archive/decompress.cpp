#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <exception>

#include "daemon/archive/byte_source.h"
#include "daemon/archive/escaped_name.h"
#include "daemon/archive/refused.h"

namespace brokerd {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{128} << 10;

/// zlib itself, which checks what a gzip member says of itself (libarchive 3.6.2 skips that).
class GzipSource : public ByteSource {
public:
    explicit GzipSource(ByteSource& source) : source_{source}, buffer_(kPieceBytes) {
        constexpr int kGzipOnly = 16 + MAX_WBITS;
        if (inflateInit2(&stream_, kGzipOnly) != Z_OK) throw std::bad_alloc{};
    }
    ~GzipSource() override { inflateEnd(&stream_); }
    GzipSource(const GzipSource&) = delete;
    GzipSource& operator=(const GzipSource&) = delete;

    std::string_view next() override {
        stream_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
        stream_.avail_out = static_cast<uInt>(buffer_.size());
        while (!ended_ && stream_.avail_out > 0) {
            if (stream_.avail_in == 0 && !refill()) {
                if (!between_members_) throw Refused{"ends in the middle of its gzip stream; it is truncated"};
                ended_ = true;
            } else if (between_members_) {
                begin_member();
            } else {
                step();
            }
        }
        return {buffer_.data(), buffer_.size() - stream_.avail_out};
    }

private:
    bool refill() {
        const std::string_view piece = source_.next();
        stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(piece.data()));  // zlib 1.2's const
        stream_.avail_in = static_cast<uInt>(piece.size());
        return !piece.empty();
    }

    /// What follows a member: another, or padding up to the end.
    void begin_member() {
        const Bytef first = *stream_.next_in;
        if (first == 0 && members_ > 0) {
            is_padded_ = true;
            --stream_.avail_in;
            ++stream_.next_in;
        } else if (is_padded_ || (members_ > 0 && first != 0x1f)) {
            throw Refused{"has other bytes after its gzip stream"};
        } else {
            if (inflateReset(&stream_) != Z_OK) throw std::bad_alloc{};
            between_members_ = false;
        }
    }

    void step() {
        const int status = inflate(&stream_, Z_NO_FLUSH);
        if (status == Z_STREAM_END) {
            between_members_ = true;
            ++members_;
        } else if (status == Z_MEM_ERROR) {
            throw std::bad_alloc{};
        } else if (status != Z_OK && status != Z_BUF_ERROR) {
            throw Refused{fmt::format("is no good gzip stream: {}", stream_.msg ? stream_.msg : "damaged")};
        }
    }

    ByteSource& source_;
    std::vector<char> buffer_;
    z_stream stream_{};
    std::uint64_t members_ = 0;
    bool between_members_ = true;
    bool is_padded_ = false;
    bool ended_ = false;
};

struct FreeArchive {
    void operator()(archive* reader) const noexcept { archive_read_free(reader); }
};

/// One of libarchive's filters, and only that one: left to itself it would look for further compression inside.
class FilterSource : public ByteSource {
public:
    FilterSource(ByteSource& source, int filter, const char* name) : source_{source}, name_{name} {
        reader_.reset(archive_read_new());
        if (!reader_) throw std::bad_alloc{};
        archive_read_support_format_raw(reader_.get());
        check(archive_read_append_filter(reader_.get(), filter));
        check(archive_read_open(reader_.get(), this, nullptr, &FilterSource::on_read, nullptr));
        archive_entry* entry = nullptr;
        // An empty stream is refused, too: libarchive does not tell it from a damaged one, and the smallest tar is 1
        // KiB.
        if (archive_read_next_header(reader_.get(), &entry) == ARCHIVE_OK) return;
        if (failure_) std::rethrow_exception(failure_);
        throw Refused{fmt::format("is no good {} stream", name_)};
    }

    std::string_view next() override {
        const void* bytes = nullptr;
        std::size_t size = 0;
        la_int64_t offset = 0;
        while (!ended_ && size == 0) {
            const int status = archive_read_data_block(reader_.get(), &bytes, &size, &offset);
            ended_ = status == ARCHIVE_EOF;
            if (ended_) return {};
            check(status);
        }
        return {static_cast<const char*>(bytes), size};
    }

private:
    static la_ssize_t on_read(archive* reader, void* self, const void** bytes) noexcept {
        auto& filter = *static_cast<FilterSource*>(self);
        try {
            const std::string_view piece = filter.source_.next();
            *bytes = piece.data();
            return static_cast<la_ssize_t>(piece.size());
        } catch (...) {
            filter.failure_ = std::current_exception();
            archive_set_error(reader, -1, "the source failed");
            return -1;
        }
    }

    void check(int status) {
        if (failure_) std::rethrow_exception(failure_);
        if (status == ARCHIVE_OK) return;
        const char* const text = archive_error_string(reader_.get());
        throw Refused{fmt::format("is no good {} stream: {}", name_, escaped_text(text ? text : "damaged", 200))};
    }

    ByteSource& source_;
    const char* const name_;
    std::unique_ptr<archive, FreeArchive> reader_;
    std::exception_ptr failure_;
    bool ended_ = false;
};

class PlainSource : public ByteSource {
public:
    explicit PlainSource(ByteSource& source) : source_{source} {}
    std::string_view next() override { return source_.next(); }

private:
    ByteSource& source_;
};

}  // namespace

std::unique_ptr<ByteSource> decompress(ByteSource& source, Encoding encoding) {
    switch (encoding) {
        case Encoding::none:
            return std::make_unique<PlainSource>(source);
        case Encoding::gzip:
            return std::make_unique<GzipSource>(source);
        case Encoding::zstd:
            return std::make_unique<FilterSource>(source, ARCHIVE_FILTER_ZSTD, "zstd");
        case Encoding::xz:
            return std::make_unique<FilterSource>(source, ARCHIVE_FILTER_XZ, "xz");
        case Encoding::bzip2:
            return std::make_unique<FilterSource>(source, ARCHIVE_FILTER_BZIP2, "bzip2");
    }
    std::abort();
}

}  // namespace brokerd
