#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "cli/pluginctl.h"
#include "common/os/unique_fd.h"

namespace brokerd::cli {

struct Ran {
    int status;
    std::string out;
    std::string err;
};

inline std::string content_of(int fd) {
    std::string text(static_cast<std::size_t>(::lseek(fd, 0, SEEK_END)), '\0');
    if (::pread(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) text = "?";
    return text;
}

/// pluginctl in this process, writing to memory; `host` is BROKERD_HOST, `input` what it reads from stdin.
inline Ran run_cli(const std::vector<const char*>& arguments, const std::string& host = "",
                   const std::string& input = "", const std::string& docker_config = "") {
    const UniqueFd out{::memfd_create("out", MFD_CLOEXEC)};
    const UniqueFd err{::memfd_create("err", MFD_CLOEXEC)};
    const UniqueFd in{::memfd_create("in", MFD_CLOEXEC)};
    if (::pwrite(in.get(), input.data(), input.size(), 0) != static_cast<ssize_t>(input.size())) return {-1, "", ""};
    Output out_text{out.get()};
    Output err_text{err.get()};
    const ExitStatus status = run_pluginctl({arguments, host, in.get(), out_text, err_text, docker_config});
    return {static_cast<int>(status), content_of(out.get()), content_of(err.get())};
}

}  // namespace brokerd::cli
