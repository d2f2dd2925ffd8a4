#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/unix_http.h"

namespace brokerd::cli {

/// Where an archive to be sent comes from.
struct ArchiveOrder {
    std::string path;                  ///< a directory, a tar file, or "-"
    std::vector<std::string> members;  ///< what a directory must have, and all of it that is sent
    std::string what;                  ///< of what kind the directory is, for errors: "a plugin directory"
    bool compress = false;             ///< with gzip; only a directory can be
};

/// An archive on its way: a file or standard input as it is, a directory through tar(1) as a child. Not libarchive,
/// whose loading alone would double the time that every command takes to start. Owners, modes and extended attributes
/// are kept, as far as the caller may read them. Thread: one.
class ArchiveSource {
public:
    /// `input_fd` is standard input, borrowed. The error is for the user.
    [[nodiscard]] static Result<ArchiveSource> open(const ArchiveOrder& order, int input_fd);

    /// To be sent once. Ends early, with tar's own words, where tar failed. Valid as long as this.
    [[nodiscard]] const BodyStream& stream() const noexcept;

    ArchiveSource(ArchiveSource&&) noexcept;
    ~ArchiveSource();

private:
    struct State;

    explicit ArchiveSource(std::unique_ptr<State> state) noexcept;

    std::unique_ptr<State> state_;
};

}  // namespace brokerd::cli
