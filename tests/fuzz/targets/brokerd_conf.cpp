// brokerd.conf: daemon/config.
#include "daemon/config/config.h"
#include "tests/fuzz/checks.h"
#include "tests/fuzz/private_root.h"

namespace brokerd::fuzz::brokerd_conf_target {
namespace {

void expect_config(const Config& config) {
    for (const std::string& path : {config.control_socket, config.state_root, config.runtime_root,
                                    config.engine_socket_dir, config.registry_certs})
        expect(path.starts_with('/'), "a path is absolute", path);
    for (const std::string& path : config.spec_dirs) expect(path.starts_with('/'), "a path is absolute", path);
    expect(config.proxy_threads >= 1 && config.proxy_threads <= 64, "there are threads, and not too many");
    expect(config.max_connections >= 1, "there can be connections");
    expect(!config.group.empty() && !config.oci_runtime.empty(), "what must not be empty is not");
    expect(config.activation_timeout >= std::chrono::seconds{1} && config.request_timeout >= std::chrono::seconds{1},
           "every wait has an end");
}

void try_file(std::string_view input) {
    const std::string path = "/brokerd.conf";
    write_file(path, input);
    const char* const arguments[] = {"brokerd", "--config", path.c_str()};
    static ConfigReader reader;
    const auto loaded = reader.load(3, arguments);
    if (const auto* const config = std::get_if<Config>(&loaded)) return expect_config(*config);
    const EarlyExit& exit = std::get<EarlyExit>(loaded);
    expect(exit.status == EarlyExit::kWrongFile, "a wrong file is told by the exit status", exit.text);
    expect_sentence(exit.reason);
    expect(!exit.reason.starts_with(path + ' '), "a file of root's is read", exit.reason);
    expect(exit.text.find(path) != std::string::npos, "a mistake in the file names the file", exit.reason);
}

}  // namespace

void try_input(std::string_view input) {
    // A file of root's in a directory of root's: brokerd believes no other.
    static const auto root = PrivateRoot::make();
    if (!root) return;
    root->run([&] { try_file(input); });
}

}  // namespace brokerd::fuzz::brokerd_conf_target
