#include "daemon/images/platform.h"

#include <sys/utsname.h>

#include <array>

namespace brokerd {
namespace {

struct MachineName {
    std::string_view machine;  ///< as uname(2) says it
    std::string_view architecture;
    std::string_view variant;
};

/// uname's names and Go's (GOARCH and GOARM), which image indexes use.
constexpr std::array kMachines{
    MachineName{"x86_64", "amd64", ""},    MachineName{"amd64", "amd64", ""},
    MachineName{"aarch64", "arm64", ""},   MachineName{"arm64", "arm64", ""},
    MachineName{"armv8l", "arm", "v7"},    MachineName{"armv7l", "arm", "v7"},
    MachineName{"armv6l", "arm", "v6"},    MachineName{"armv5tel", "arm", "v5"},
    MachineName{"armv5tejl", "arm", "v5"}, MachineName{"armhf", "arm", "v7"},
    MachineName{"armel", "arm", "v6"},     MachineName{"i386", "386", ""},
    MachineName{"i486", "386", ""},        MachineName{"i586", "386", ""},
    MachineName{"i686", "386", ""},        MachineName{"ppc64le", "ppc64le", ""},
    MachineName{"s390x", "s390x", ""},     MachineName{"riscv64", "riscv64", ""},
    MachineName{"mips64", "mips64le", ""}, MachineName{"loongarch64", "loong64", ""},
};

/// One spelling for each: the usual variant of an architecture is not written, that of 32-bit ARM is.
Platform normal(const Platform& platform) {
    Platform out = platform;
    for (const MachineName& name : kMachines) {
        if (name.machine != platform.architecture) continue;
        out.architecture = name.architecture;
        if (out.variant.empty()) out.variant = name.variant;
    }
    if (!out.variant.empty() && out.variant.front() != 'v') out.variant.insert(0, 1, 'v');
    if (out.architecture == "arm" && out.variant.empty()) out.variant = "v7";
    if (out.architecture == "arm64" && out.variant == "v8") out.variant.clear();
    if (out.architecture == "amd64" && out.variant == "v1") out.variant.clear();
    return out;
}

constexpr int kBest = 100;

}  // namespace

Platform Platform::from_machine(std::string_view machine) {
    return normal({"linux", std::string{machine}, ""});
}

Platform Platform::of_host() {
    utsname name{};
    if (::uname(&name) != 0) return {"linux", "unknown", ""};
    return from_machine(name.machine);
}

int Platform::rank(const Platform& image) const {
    const Platform here = normal(*this);
    const Platform there = normal(image);
    if (here.os != there.os || here.architecture != there.architecture) return 0;
    if (here.variant == there.variant) return kBest;
    if (here.architecture != "arm") return there.variant.empty() ? kBest / 2 : 0;
    // "v5" to "v7": one digit each, so that text compares as numbers do.
    if (there.variant.size() != here.variant.size() || there.variant > here.variant) return 0;
    return kBest - (here.variant.back() - there.variant.back());
}

std::string Platform::str() const {
    return os + '/' + architecture + (variant.empty() ? "" : '/' + variant);
}

}  // namespace brokerd
