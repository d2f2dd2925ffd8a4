#pragma once

#include <string>
#include <string_view>

#include "common/os/unique_fd.h"
#include "common/result.h"

namespace brokerd::cli {

/// A file that appears whole or not at all: written under another name beside its own, which it takes at the end; gone
/// with the object before that. What is no regular file, a pipe or a device, is written as it is. Thread: one.
class NewFile {
public:
    /// Only its owner may read it. The error names the path.
    [[nodiscard]] static Result<NewFile> create(const std::string& path);

    NewFile(NewFile&& other) noexcept;
    NewFile& operator=(NewFile&&) = delete;
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;
    ~NewFile();

    /// Returns the reason why not, for the user; empty when all is written.
    [[nodiscard]] std::string write(std::string_view bytes);
    /// On the disk, and under its own name. The same.
    [[nodiscard]] std::string commit();

private:
    NewFile(std::string path, std::string temporary, UniqueFd file) noexcept
        : path_{std::move(path)}, temporary_{std::move(temporary)}, file_{std::move(file)} {}

    std::string path_;
    std::string temporary_;  ///< empty where there is nothing to remove
    UniqueFd file_;
};

}  // namespace brokerd::cli
