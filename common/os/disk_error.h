#pragma once

#include <string>
#include <string_view>

namespace brokerd {

/// One sentence for an errno value that a file operation gave: what failed, on which path, why, and what to do about it
/// (a full disk, a quota, a read-only or broken disk, too many open files). `operation` is a verb: "write", "sync".
[[nodiscard]] std::string disk_error(std::string_view operation, std::string_view path, int code);

}  // namespace brokerd
