#pragma once

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "common/os/system_error.h"
#include "daemon/images/blob_store.h"
#include "daemon/images/sha256.h"

namespace brokerd::test {

/// A private directory, removed with all it contains.
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

inline void write_file(const std::string& path, std::string_view bytes) {
    std::ofstream out{path, std::ios::binary | std::ios::trunc};
    out << bytes;
    out.close();
    if (!out) throw std::runtime_error{"cannot write " + path};
}

inline std::string read_file(const std::string& path) {
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

inline std::set<std::string> names_in(const std::string& path) {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator{path}) names.insert(entry.path().filename());
    return names;
}

/// A store in a directory of its own.
struct StoreFixture {
    TemporaryDirectory directory;
    std::string path = directory / "blobs";
    std::unique_ptr<BlobStore> store = open();

    [[nodiscard]] std::unique_ptr<BlobStore> open() const {
        auto opened = BlobStore::open(path);
        if (!opened) throw std::runtime_error{opened.error().message};
        return *std::move(opened);
    }
    [[nodiscard]] Digest put(std::string_view bytes) const {
        const auto pin = store->put(bytes);
        if (!pin) throw std::runtime_error{pin.error().message};
        return pin->digest();
    }
    [[nodiscard]] std::string blob_file(const Digest& digest) const {
        return path + "/sha256/" + std::string{digest.hex()};
    }
    [[nodiscard]] std::set<std::string> temporary_files() const { return names_in(path + "/tmp"); }
};

}  // namespace brokerd::test
