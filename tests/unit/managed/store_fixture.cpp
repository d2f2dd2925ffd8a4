#include "tests/unit/managed/store_fixture.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace fs = std::filesystem;

namespace brokerd::test {

StateRoot::StateRoot() {
    // Thousands of syncs: in memory, where there is such a file system.
    std::string pattern = fs::is_directory("/dev/shm") ? "/dev/shm/b.storeXXXXXX" : "/tmp/b.storeXXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"mkdtemp"};
    path_ = pattern;
}

StateRoot::~StateRoot() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

Result<bool> remove_simple_tree(int parent, const std::string& name) {
    std::error_code error;
    fs::remove_all(fs::path{fmt::format("/proc/self/fd/{}", parent)} / name, error);
    if (error) return fail(error.message());
    return true;
}

PluginStore open_store(const std::string& root, std::vector<std::string>* findings) {
    auto opened = PluginStore::open(root, remove_simple_tree);
    if (!opened) throw std::runtime_error{opened.error().message};
    if (findings != nullptr) *findings = opened->findings;
    return std::move(opened->store);
}

PluginRecord make_record(const std::string& name, const std::string& marker) {
    const std::string bytes = fmt::format(
        R"({{"description":"{}","entrypoint":["/bin/x"],"interface":{{"types":["docker.volumedriver/1.0"],"socket":"x.sock"}},)"
        R"("env":[{{"name":"A","value":"1","settable":["value"]}}]}})"
        "\n",
        marker);
    auto config = PluginConfig::parse(bytes);
    if (!config) throw std::runtime_error{config.error().str()};
    PluginRecord record;
    record.name = name;
    record.remote = "docker.io/" + name;
    record.settings = PluginSettings::defaults_of(*config);
    record.config = std::make_shared<const PluginConfig>(std::move(*config));
    record.config_bytes = std::make_shared<const std::string>(bytes);
    record.granted = {{"network", "permissions to access a network", {"host"}}};
    record.manifest_digest = *Digest::from_hex(std::string(64, 'a'));
    record.config_digest = *Digest::from_hex(std::string(64, 'b'));
    record.layer_digests = {*Digest::from_hex(std::string(64, 'c'))};
    return record;
}

StagedPlugin make_staged(PluginStore& store, const std::string& marker) {
    auto staged = store.stage();
    if (!staged) throw std::runtime_error{staged.error().message};
    write_file(staged->rootfs_path() + "/marker", marker);
    return std::move(*staged);
}

PluginRecordPtr install(PluginStore& store, const std::string& name, const std::string& marker) {
    auto installed = store.install(make_staged(store, marker), make_record(name, marker));
    if (!installed) throw std::runtime_error{installed.error().message};
    return *installed;
}

std::string read_file(const std::string& path) {
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

void write_file(const std::string& path, const std::string& content) {
    fs::create_directories(fs::path{path}.parent_path());
    std::ofstream{path, std::ios::binary} << content;
}

std::vector<std::string> names_below(const std::string& path) {
    std::vector<std::string> names;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator{path, ignored}) names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace brokerd::test
