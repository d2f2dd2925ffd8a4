#pragma once

#include <archive.h>

#include <functional>
#include <memory>
#include <string_view>

namespace brokerd {

/// libarchive's writer of a tar (ustar, with pax headers where something needs them), without padding beyond what the
/// format needs. Thread: one at a time. Memory: one block.
class PaxWriter {
public:
    /// Takes the archive's bytes as they come, and must not throw. It has no way to fail, as libarchive 3.6.2 leaks its
    /// block where it learns of that: the owner remembers what went wrong, and looks after each call.
    using Sink = std::function<void(std::string_view bytes)>;

    explicit PaxWriter(Sink sink);  ///< throws std::bad_alloc
    /// Without close() the archive lacks its end, and the sink gets nothing more.
    ~PaxWriter();
    PaxWriter(const PaxWriter&) = delete;
    PaxWriter& operator=(const PaxWriter&) = delete;

    /// For archive_write_header() and archive_write_data(). Borrowed.
    [[nodiscard]] archive* get() const noexcept { return writer_.get(); }
    /// Writes the archive's end. Returns libarchive's status.
    [[nodiscard]] int close();

private:
    struct Free {
        void operator()(archive* writer) const noexcept { archive_write_free(writer); }
    };
    static la_ssize_t on_write(archive* writer, void* self, const void* bytes, std::size_t size) noexcept;

    Sink sink_;
    bool wants_more_ = true;
    std::unique_ptr<archive, Free> writer_;
};

}  // namespace brokerd
