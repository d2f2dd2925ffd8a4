#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "common/os/unique_fd.h"
#include "common/result.h"
#include "daemon/loop/activated_descriptors.h"

namespace brokerd {

/// A listening socket at `path` for root and `group`, mode 0660 (0600 without a group) from the first moment on,
/// whatever the umask. Replaces a socket on which nobody listens; anything else that is there is left alone, and the
/// error says what it is. Its directory must exist.
[[nodiscard]] Result<UniqueFd> bind_control_socket(const std::string& path, std::optional<gid_t> group);

/// The control socket among what systemd hands over: named "control" in the unit, or bound to `path`. Empty where there
/// is none.
[[nodiscard]] UniqueFd take_activated_socket(ActivatedDescriptors& activated, const std::string& path);

/// Gives the socket file at `path`, which systemd has made for the group that its unit names, to `group`. Its mode
/// stays as the unit has it, who may not connect is for the administrator to say there.
[[nodiscard]] std::optional<Error> give_to_group(const std::string& path, gid_t group);

}  // namespace brokerd
