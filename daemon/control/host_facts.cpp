#include "daemon/control/host_facts.h"

#include <sched.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>

namespace brokerd {
namespace {

/// Ours: an os-release has a few hundred bytes.
constexpr std::size_t kMaxReleaseBytes = std::size_t{64} * 1024;

/// os-release(5): the second is read where the first is missing.
std::string os_release() {
    for (const char* const path : {"/etc/os-release", "/usr/lib/os-release"}) {
        std::ifstream file{path, std::ios::binary};
        if (!file) continue;
        std::string text(kMaxReleaseBytes, '\0');
        file.read(text.data(), static_cast<std::streamsize>(text.size()));
        text.resize(static_cast<std::size_t>(file.gcount()));
        return text;
    }
    return {};
}

int processors() {
    cpu_set_t usable;
    CPU_ZERO(&usable);
    // A host with more than 1024 processors says EINVAL. There is one at least: we run.
    const bool is_told = ::sched_getaffinity(0, sizeof usable, &usable) == 0;
    return std::max(is_told ? CPU_COUNT(&usable) : static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)), 1);
}

std::uint64_t memory() {
    struct sysinfo facts {};
    return ::sysinfo(&facts) == 0 ? std::uint64_t{facts.totalram} * facts.mem_unit : 0;
}

std::string host_id() {
    // Ours, at random.
    constexpr sd_id128_t kBrokerd = SD_ID128_ARRAY(5b, 1e, 0f, 7a, 93, 3c, 4d, 26, a8, 41, 6c, d2, 70, 9f, e5, 18);
    sd_id128_t id;
    if (sd_id128_get_machine_app_specific(kBrokerd, &id) < 0) return {};
    std::array<char, SD_ID128_UUID_STRING_MAX> text{};
    return sd_id128_to_uuid_string(id, text.data());
}

}  // namespace

std::string_view go_architecture(std::string_view machine) noexcept {
    if (machine == "x86_64") return "amd64";
    if (machine == "aarch64") return "arm64";
    return machine;
}

std::string os_release_value(std::string_view text, std::string_view key) {
    while (!text.empty()) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        if (!line.starts_with(key) || line.substr(key.size(), 1) != "=") continue;
        line.remove_prefix(key.size() + 1);
        const char quote = line.empty() ? '\0' : line.front();
        const bool is_quoted = line.size() > 1 && (quote == '"' || quote == '\'') && line.back() == quote;
        if (is_quoted) line = line.substr(1, line.size() - 2);
        std::string value;
        for (std::size_t i = 0; i < line.size(); ++i) {
            if (quote == '"' && line[i] == '\\' && i + 1 < line.size()) ++i;
            value += line[i];
        }
        return value;
    }
    return {};
}

HostFacts host_facts() {
    HostFacts facts;
    std::array<char, 256> name{};  // HOST_NAME_MAX is 64
    if (::gethostname(name.data(), name.size() - 1) == 0) facts.name = name.data();
    utsname system{};
    if (::uname(&system) == 0) {
        facts.kernel = system.release;
        facts.machine = system.machine;
    }
    const std::string release = os_release();
    facts.operating_system = os_release_value(release, "PRETTY_NAME");
    facts.system_version = os_release_value(release, "VERSION_ID");
    facts.processors = processors();
    facts.memory = memory();
    facts.id = host_id();
    return facts;
}

}  // namespace brokerd
