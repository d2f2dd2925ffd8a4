#include "tests/unit/runtime/host_fixture.h"

#include <fmt/format.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "daemon/managed/privileges.h"
#include "daemon/runtime/cancellation.h"
#include "daemon/runtime/container_jobs.h"
#include "daemon/runtime/host_mounts.h"
#include "daemon/runtime/mount_table.h"
#include "daemon/runtime/plugin_cgroup.h"
#include "tests/unit/loop/loop_fixture.h"

namespace fs = std::filesystem;

namespace brokerd::test {
namespace {

constexpr const char* kBusybox = "/bin/busybox";

std::string process_with_argument(const std::string& text) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator{"/proc", ignored}) {
        const std::string name = entry.path().filename();
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        std::ifstream in{entry.path() / "cmdline", std::ios::binary};
        std::ostringstream line;
        line << in.rdbuf();  // which fails, and does not throw, where the process ends meanwhile (ESRCH)
        if (line.str().find(text) != std::string::npos) return name;
    }
    return {};
}

PluginRunner::Started note_start(const std::shared_ptr<RuntimeHost::Run>& run) {
    return [run](Result<std::unique_ptr<RunningPlugin>> result) {
        if (result)
            run->plugin = *std::move(result);
        else
            run->error = result.error().message;
    };
}

PluginRunner::Ended note_end(const std::shared_ptr<RuntimeHost::Run>& run) {
    return [run](PluginExit exit) { run->exit = std::move(exit); };
}

}  // namespace

bool& has_own_mounts() {
    static bool value = false;
    return value;
}

bool can_mount() {
    if (!has_own_mounts()) WARN("skipped: mounting needs root");
    return has_own_mounts();
}

bool can_run_containers() {
    if (!can_mount()) return false;
    const bool can = fs::exists(kBusybox) && fs::exists("/usr/sbin/runc") && fs::exists(BROKERD_TEST_SHIM);
    if (!can) WARN("skipped: runc, a static busybox and brokerd-shim are needed");
    return can;
}

RuntimeHost::RuntimeHost() {
    settings.state_root = directory / "state";
    settings.runtime_root = directory / "run";
    settings.shim = BROKERD_TEST_SHIM;
    settings.logs = RuntimeSettings::LogTarget::files;
    settings.cgroup_driver = CgroupDriver::cgroupfs;
    new_runner();
}

RuntimeHost::~RuntimeHost() {
    runner.reset();
    const Cancellation never;
    const ContainerJobs jobs{settings, never};
    for (const std::string& id : ids_) {
        jobs.kill_all(id);
        [[maybe_unused]] const bool cleared = jobs.clear(id);
    }
    [[maybe_unused]] const auto unmounted = unmount_below(directory.path());
}

void RuntimeHost::new_runner() {
    runner.reset();
    runner = std::make_unique<ContainerRunner>(loop, settings);
}

PluginRecordPtr RuntimeHost::plugin(const std::string& script, const std::string& members) {
    auto config = PluginConfig::parse(
        fmt::format(R"({{"description":"d","entrypoint":["/bin/sh","-c",{}],"network":{{"type":"none"}},)"
                    R"("interface":{{"types":["docker.volumedriver/1.0"],"socket":"x.sock"}}{}}})",
                    json_text([&](JsonWriter& writer) { write_string(writer, script); }), members));
    if (!config) throw std::runtime_error{config.error().str()};
    PluginRecord record;
    record.id = new_plugin_id();
    record.name = "tests/plugin:latest";
    record.settings = PluginSettings::defaults_of(*config);
    record.granted = required_privileges(*config);
    record.config = std::make_shared<const PluginConfig>(*std::move(config));
    const std::string bin = settings.state_root + "/plugins/" + record.id + "/rootfs/bin";
    fs::create_directories(bin);
    fs::copy_file(kBusybox, bin + "/busybox");
    for (const char* const name : {"sh", "sleep", "touch", "mount", "kill", "mkdir", "cat", "nc"})
        fs::create_symlink("busybox", bin + "/" + name);
    for (const char* const name : {"dev", "proc", "sys", "etc", "run/docker/plugins", "tmp"})
        fs::create_directories(bin + "/../" + name);
    ids_.push_back(record.id);
    return std::make_shared<const PluginRecord>(std::move(record));
}

std::shared_ptr<RuntimeHost::Run> RuntimeHost::start(const PluginRecordPtr& plugin) {
    auto run = std::make_shared<Run>();
    runner->start(plugin, note_start(run), note_end(run));
    return run;
}

std::shared_ptr<RuntimeHost::Run> RuntimeHost::adopt(const std::string& id) {
    auto run = std::make_shared<Run>();
    runner->adopt(id, note_start(run), note_end(run));
    return run;
}

bool RuntimeHost::is_started(const std::shared_ptr<Run>& run) {
    constexpr std::chrono::seconds kPatience{60};
    const bool answered = run_until(
        loop, [&] { return run->plugin || run->error; }, kPatience);
    if (run->error) UNSCOPED_INFO(*run->error);
    return answered && run->plugin;
}

bool RuntimeHost::has_ended(const std::shared_ptr<Run>& run) {
    constexpr std::chrono::seconds kPatience{60};
    return run_until(
        loop, [&] { return run->exit.has_value(); }, kPatience);
}

bool RuntimeHost::is_there(const PluginRecordPtr& plugin, const std::string& name) {
    const std::string path = exec(plugin->id) + "/" + name;
    return run_until(
        loop, [&] { return fs::exists(fs::symlink_status(path)); }, std::chrono::seconds{60});
}

std::string RuntimeHost::leftovers(const std::string& id) const {
    for (const char* const place : {"/exec/", "/bundles/", "/runtime-state/"}) {
        const std::string path = settings.runtime_root + place + id;
        if (fs::exists(fs::symlink_status(path))) return path;
    }
    const auto group = PluginCgroup::find(id);
    if (!group || group->exists()) return "cgroup";
    const auto mounts = read_mount_table();
    if (!mounts) return mounts.error().message;
    for (const MountEntry& mount : *mounts) {
        if (mount.mount_point.find(id) != std::string::npos) return "mount " + mount.mount_point;
    }
    const std::string process = process_with_argument(id);
    return process.empty() ? std::string{} : "process " + process;
}

}  // namespace brokerd::test
