// Compressed streams: daemon/archive/byte_source.h, layer_output.h. The first byte chooses the encoding, if it is not
// to be guessed.
#include <sys/mman.h>
#include <unistd.h>

#include <optional>

#include "common/os/unique_fd.h"
#include "daemon/archive/byte_source.h"
#include "daemon/archive/layer_output.h"
#include "daemon/archive/refused.h"
#include "tests/fuzz/checks.h"

namespace brokerd::fuzz::decompress_target {
namespace {

/// More than any input here should become; a bomb is the limits' business (tar_stream.h).
constexpr std::size_t kEnough = std::size_t{1} << 20;

/// Bytes in memory, in pieces.
class MemorySource : public ByteSource {
public:
    MemorySource(std::string_view bytes, bool cut) : left_{bytes}, cuts_{bytes}, cut_{cut} {}
    std::string_view next() override {
        if (left_.empty()) return {};
        // A copy for each piece: the last one is no longer valid, and nothing lies behind this one.
        piece_ = std::make_unique<char[]>(left_.size());
        const std::size_t size = cut_ ? cuts_.next(left_.size()) : left_.size();
        left_.copy(piece_.get(), size);
        left_.remove_prefix(size);
        return {piece_.get(), size};
    }

private:
    std::string_view left_;
    Cuts cuts_;
    const bool cut_;
    std::unique_ptr<char[]> piece_;
};

struct Unpacked {
    std::string bytes;
    std::optional<std::string> refusal;
    bool is_whole = true;
};

Unpacked unpack(std::string_view bytes, Encoding encoding, bool cut) {
    Unpacked out;
    MemorySource source{bytes, cut};
    try {
        const auto stream = decompress(source, encoding);
        for (std::string_view piece = stream->next(); !piece.empty(); piece = stream->next()) {
            out.bytes += piece;
            out.is_whole = out.bytes.size() < kEnough;
            if (!out.is_whole) break;
        }
        if (out.is_whole) expect(stream->next().empty(), "a stream that has ended stays so");
    } catch (const Refused& refusal) {
        out.refusal = refusal.what();
    } catch (const std::bad_alloc&) {
        out.refusal = "needs more memory";
    }
    return out;
}

std::string gzipped(std::string_view bytes) {
    const UniqueFd file{memfd_create("fuzz", MFD_CLOEXEC)};
    GzipOutput output{file.get()};
    output.write(bytes.substr(0, bytes.size() / 2));
    output.write(bytes.substr(bytes.size() / 2));
    output.finish();
    std::string packed(static_cast<std::size_t>(lseek(file.get(), 0, SEEK_END)), '\0');
    expect(pread(file.get(), packed.data(), packed.size(), 0) == static_cast<ssize_t>(packed.size()),
           "a memfd can be read");
    return packed;
}

}  // namespace

void try_input(std::string_view input) {
    if (input.empty()) return;
    const auto choice = static_cast<unsigned char>(input.front());
    input.remove_prefix(1);
    constexpr Encoding kEncodings[] = {Encoding::none, Encoding::gzip, Encoding::zstd, Encoding::xz, Encoding::bzip2};
    const Encoding encoding = choice < std::size(kEncodings) ? kEncodings[choice] : guess_encoding(input.substr(0, 6));
    const Unpacked whole = unpack(input, encoding, false);
    const Unpacked pieces = unpack(input, encoding, true);
    if (whole.refusal) expect_sentence(*whole.refusal);
    if (whole.is_whole && pieces.is_whole) {
        expect(whole.refusal.has_value() == pieces.refusal.has_value(), "a stream is as good in pieces",
               whole.refusal ? *whole.refusal : pieces.refusal.value_or(""));
        expect(whole.refusal || whole.bytes == pieces.bytes, "a stream is the same in pieces");
    }
    if (encoding == Encoding::none) expect(whole.bytes == input, "plain bytes stay as they are");
    if (input.size() > 4096) return;
    const Unpacked again = unpack(gzipped(input), Encoding::gzip, true);
    expect(!again.refusal && again.bytes == input, "what is compressed here comes out again");
    const Unpacked damaged = unpack(gzipped(input) + "x", Encoding::gzip, true);
    expect(damaged.refusal.has_value(), "nothing may follow a gzip stream");
}

}  // namespace brokerd::fuzz::decompress_target
