// brokerd.conf: daemon/config.
#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

#include "common/os/unique_fd.h"
#include "daemon/config/config.h"
#include "tests/fuzz/checks.h"

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

}  // namespace

void try_input(std::string_view input) {
    const UniqueFd file{memfd_create("conf", MFD_CLOEXEC)};
    expect(write(file.get(), input.data(), input.size()) == static_cast<ssize_t>(input.size()),
           "a memfd can be written");
    const std::string path = fmt::format("/proc/self/fd/{}", file.get());
    const char* const arguments[] = {"brokerd", "--config", path.c_str()};
    const auto loaded = load_config(3, arguments);
    if (const auto* const config = std::get_if<Config>(&loaded)) return expect_config(*config);
    const EarlyExit& exit = std::get<EarlyExit>(loaded);
    expect(exit.status == EarlyExit::kWrongFile, "a wrong file is told by the exit status", exit.text);
    expect_sentence(exit.reason);
    expect(exit.reason.find(exit.reason.starts_with(path) ? path : "brokerd") != std::string::npos ||
               exit.text.find(path) != std::string::npos,
           "a mistake in the file names the file", exit.reason);
}

}  // namespace brokerd::fuzz::brokerd_conf_target
