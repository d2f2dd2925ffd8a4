#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace brokerd {

/// What there is to say of the host and its kernel. What cannot be found out is empty, or 0.
struct HostFacts {
    std::string name;              ///< as of gethostname(2)
    std::string kernel;            ///< its release
    std::string machine;           ///< as the kernel calls it: "x86_64"
    std::string operating_system;  ///< os-release(5), PRETTY_NAME
    std::string system_version;    ///< os-release(5), VERSION_ID
    int processors = 0;            ///< that this process may use
    std::uint64_t memory = 0;      ///< bytes
    /// Of this host for brokerd, made from the machine ID, which itself is confidential (machine-id(5)).
    std::string id;
};

/// Thread: any. Reads small files of the host, none of which can block.
[[nodiscard]] HostFacts host_facts();

/// As Go, and so Docker, writes architectures: "amd64" for "x86_64".
[[nodiscard]] std::string_view go_architecture(std::string_view machine) noexcept;

/// The value of `key` in a text of os-release(5), without its quotes; empty where there is none.
[[nodiscard]] std::string os_release_value(std::string_view text, std::string_view key);

}  // namespace brokerd
