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

}  // namespace brokerd
