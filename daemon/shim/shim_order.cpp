#include "daemon/shim/shim_order.h"

#include <linux/limits.h>
#include <unistd.h>

#include <string_view>

#ifndef BROKERD_SHIM_DIRECTORY
#define BROKERD_SHIM_DIRECTORY "/usr/libexec/brokerd"
#endif

namespace brokerd {
namespace {

struct Flag {
    std::string_view name;
    std::string ShimOrder::*value;
};

constexpr Flag kFlags[] = {{"--id", &ShimOrder::id},           {"--name", &ShimOrder::name},
                           {"--runtime", &ShimOrder::runtime}, {"--runtime-root", &ShimOrder::runtime_root},
                           {"--bundle", &ShimOrder::bundle},   {"--log-directory", &ShimOrder::log_directory}};
constexpr std::string_view kSystemdCgroup = "--systemd-cgroup";
constexpr std::string_view kJournal = "--journal";

/// The directory of this program, which an upgrade may have replaced meanwhile.
std::string program_directory() {
    char path[PATH_MAX];
    const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
    if (size <= 0) return {};
    const std::string_view program{path, static_cast<std::size_t>(size)};
    return std::string{program.substr(0, program.rfind('/'))};
}

const Flag* find_flag(std::string_view name) {
    for (const Flag& flag : kFlags) {
        if (flag.name == name) return &flag;
    }
    return nullptr;
}

}  // namespace

std::vector<std::string> shim_command(const std::string& program, const ShimOrder& order) {
    std::vector<std::string> command{program};
    for (const Flag& flag : kFlags) {
        const std::string& value = order.*flag.value;
        if (!value.empty()) command.insert(command.end(), {std::string{flag.name}, value});
    }
    if (order.log_directory.empty()) command.emplace_back(kJournal);
    if (order.systemd_cgroup) command.emplace_back(kSystemdCgroup);
    return command;
}

Result<ShimOrder> parse_shim_command(std::span<char* const> arguments) {
    ShimOrder order;
    bool journal = false;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string_view argument{arguments[i]};
        if (argument == kSystemdCgroup) {
            order.systemd_cgroup = true;
        } else if (argument == kJournal) {
            journal = true;
        } else if (const Flag* flag = find_flag(argument); flag != nullptr && i + 1 < arguments.size()) {
            order.*flag->value = arguments[++i];
        } else {
            return fail("brokerd-shim does not know \"" + std::string{argument} + "\"; it is started by brokerd only");
        }
    }
    const bool whole = !order.id.empty() && !order.runtime.empty() && !order.runtime_root.empty();
    if (!whole || !order.bundle.starts_with('/') || journal == !order.log_directory.empty()) {
        return fail(
            "brokerd-shim needs --id, --runtime, --runtime-root, --bundle and a place for logs; it is started "
            "by brokerd only");
    }
    return order;
}

std::string cgroup_of(const ShimOrder& order) {
    return order.systemd_cgroup ? "/brokerd.slice/brokerd-" + order.id + ".scope" : "/brokerd/" + order.id;
}

Result<std::string> find_shim() {
    const std::string here = program_directory();
    for (const std::string& path :
         {here + "/shim/brokerd-shim", here + "/../daemon/shim/brokerd-shim", here + "/../libexec/brokerd/brokerd-shim",
          std::string{BROKERD_SHIM_DIRECTORY "/brokerd-shim"}}) {
        if (access(path.c_str(), X_OK) == 0) return path;
    }
    return fail("brokerd-shim is missing, without which no plugin can run; install brokerd again");
}

}  // namespace brokerd
