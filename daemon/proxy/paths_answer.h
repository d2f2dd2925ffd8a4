#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "common/result.h"
#include "daemon/proxy/path_rewrite.h"
#include "daemon/stream/byte_queue.h"

namespace brokerd {

/// An answer that tells paths, on its way from a managed plugin to an engine: held until it is whole, rewritten, and
/// then written as the engine takes it. Thread: one proxy thread's. Owned by its Client, for one request.
class PathsAnswer {
public:
    explicit PathsAnswer(std::shared_ptr<const PathRewrite> paths) noexcept : paths_{std::move(paths)} {}

    /// The head, as it came.
    void begin(std::string_view head) { head_ = head; }
    [[nodiscard]] const std::string& head() const noexcept { return head_; }

    /// Takes a piece of the body; nothing more once is_too_long().
    [[nodiscard]] std::size_t take_body(std::string_view piece);
    [[nodiscard]] bool is_too_long() const noexcept { return too_long_; }

    /// The body has all come: replaces it by what the engine is to get. The error is rewrite_mountpoints()'s.
    [[nodiscard]] Result<std::size_t> rewrite();

    /// After rewrite(): moves to `out` what it has room for; true once all has been moved.
    [[nodiscard]] bool write(ByteQueue& out);

private:
    const std::shared_ptr<const PathRewrite> paths_;
    std::string head_;
    std::string body_;
    std::size_t written_ = 0;
    bool too_long_ = false;
};

}  // namespace brokerd
