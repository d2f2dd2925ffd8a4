#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/result.h"

namespace brokerd {

/// Streams a tar (ustar, with pax headers where a name or size needs them) to a sink: our own bytes, so no worker. The
/// same files give the same bytes: owner 0:0, time 0, files 0644, directories 0755.
/// Memory: one buffer. Thread: one at a time.
class TarWriter {
public:
    /// Takes the archive's bytes as they come; an error stops the writer and is what the call in progress returns.
    using Sink = std::function<Result<bool>(std::string_view bytes)>;

    explicit TarWriter(Sink sink);
    TarWriter(TarWriter&&) noexcept;
    ~TarWriter();  ///< without finish() the archive lacks its end, so readers see that it is broken

    /// `path` is relative; parents are not added by themselves.
    [[nodiscard]] Result<bool> add_directory(const std::string& path);
    [[nodiscard]] Result<bool> add_file(const std::string& path, std::string_view bytes);
    /// Exactly `size` bytes from `fd` (borrowed) from where it stands; fewer are an error, more are left unread.
    [[nodiscard]] Result<bool> add_file(const std::string& path, int fd, std::uint64_t size);
    [[nodiscard]] Result<bool> finish();

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace brokerd
