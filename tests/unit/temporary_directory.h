#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/os/system_error.h"

namespace brokerd::test {

/// A private directory with a short path, because a Unix socket's path holds 107 bytes; removed with all it contains.
class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string name{"/tmp/b.XXXXXX"};
        if (mkdtemp(name.data()) == nullptr) throw_errno("mkdtemp " + name);
        path_ = name;
    }
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    [[nodiscard]] std::string operator/(std::string_view name) const { return path_ + '/' + std::string{name}; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
};

/// Writes a file as an editor that knows nothing of brokerd does: open, write, close.
inline void write_file(const std::string& path, std::string_view text) {
    std::ofstream out{path, std::ios::binary | std::ios::trunc};
    out << text;
    out.close();
    if (!out) throw std::runtime_error{"cannot write " + path};
}

}  // namespace brokerd::test
