#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "common/os/unique_fd.h"
#include "daemon/archive/tar_writer.h"

namespace brokerd {

/// A directory of the test's own that goes with it.
class TestDirectory {
public:
    TestDirectory() {
        std::string pattern = (std::filesystem::temp_directory_path() / "archive-test.XXXXXX").string();
        REQUIRE(mkdtemp(pattern.data()) != nullptr);
        path = pattern;
    }
    ~TestDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    TestDirectory(const TestDirectory&) = delete;
    TestDirectory& operator=(const TestDirectory&) = delete;

    [[nodiscard]] UniqueFd open() const { return UniqueFd{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)}; }
    UniqueFd make(const std::string& name) const {
        std::filesystem::create_directories(path / name);
        return UniqueFd{::open((path / name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    }
    void write(const std::string& name, std::string_view bytes) const { std::ofstream{path / name} << bytes; }
    [[nodiscard]] std::string read(const std::string& name) const {
        std::ifstream file{path / name};
        return {std::istreambuf_iterator<char>{file}, {}};
    }

    std::filesystem::path path;
};

/// A file without a name that holds `bytes`, at its beginning.
inline UniqueFd file_with(std::string_view bytes) {
    UniqueFd file{memfd_create("archive", MFD_CLOEXEC)};
    REQUIRE(write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    REQUIRE(lseek(file.get(), 0, SEEK_SET) == 0);
    return file;
}

/// A tar of the given files; names with a final "/" are directories.
template <class... Pairs>
std::string tar_of(const Pairs&... files) {
    std::string bytes;
    TarWriter writer{[&](std::string_view piece) -> Result<bool> {
        bytes += piece;
        return true;
    }};
    const auto add = [&](const std::pair<std::string, std::string>& file) {
        if (file.first.ends_with('/')) {
            REQUIRE(writer.add_directory(file.first.substr(0, file.first.size() - 1)));
        } else {
            REQUIRE(writer.add_file(file.first, file.second));
        }
    };
    (add(files), ...);
    REQUIRE(writer.finish());
    return bytes;
}

/// Unpacking sets owners and changes its root directory.
inline bool is_root() {
    if (geteuid() != 0) WARN("skipped: needs root");
    return geteuid() == 0;
}

}  // namespace brokerd
