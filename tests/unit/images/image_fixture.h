#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "daemon/images/blob_store.h"
#include "daemon/images/sha256.h"
#include "tests/unit/temporary_directory.h"

namespace brokerd::test {

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
