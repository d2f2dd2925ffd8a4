#pragma once

#include <string>
#include <string_view>

#include "common/managed_client.h"

namespace brokerd::cli {

class Session;

/// Asks "QUESTION [y/N] " on the output and reads a line of standard input: whether it is "y" or "yes". No input is no.
[[nodiscard]] bool confirmed(Session& session, std::string_view question);

/// Shows what the plugin asks for and asks whether to grant it, as docker does; yes without a question where it asks
/// for nothing. `undisclosed`: what it gets besides, shown before the question. `additional`: the plugin has others
/// already.
[[nodiscard]] bool privileges_granted(Session& session, std::string_view plugin,
                                      const ManagedClient::Privileges& privileges,
                                      const ManagedClient::Privileges& undisclosed, bool additional = false);

/// What of `wanted` is not in `granted`: each value counts as often as it is there.
[[nodiscard]] ManagedClient::Privileges added_privileges(const ManagedClient::Privileges& granted,
                                                         const ManagedClient::Privileges& wanted);

}  // namespace brokerd::cli
