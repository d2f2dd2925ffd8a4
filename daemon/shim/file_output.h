#pragma once

#include <rapidjson/stringbuffer.h>

#include <cstddef>
#include <string>

#include "common/os/unique_fd.h"
#include "daemon/shim/log_output.h"

namespace brokerd {

/// Writes to files of bounded size in one directory, as log_files.h tells. Makes the directory (0700) when the first
/// line comes. A line is written whole or not at all; nothing is synced: what is lost with the power is only talk.
/// Thread: one, and one process for a directory.
class FileOutput final : public LogOutput {
public:
    explicit FileOutput(std::string directory);

    [[nodiscard]] bool write(const LogRecord& record) override;

private:
    [[nodiscard]] bool open_directory();
    [[nodiscard]] bool open_current();
    [[nodiscard]] bool make_room(std::size_t bytes);
    [[nodiscard]] bool append(const char* bytes, std::size_t size);

    const std::string path_;
    UniqueFd directory_;
    UniqueFd current_;
    std::size_t size_ = 0;            ///< of `current`
    rapidjson::StringBuffer buffer_;  ///< kept for its memory
};

}  // namespace brokerd
