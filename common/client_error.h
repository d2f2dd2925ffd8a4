#pragma once

#include <string>

namespace brokerd {

/// Why the daemon did not do what was asked. `message` is one sentence for a person: what failed, why, what to do.
/// It may quote the daemon and, through it, a plugin: escape it before it reaches a terminal.
struct ClientError {
    enum class Kind {
        no_daemon,     ///< nobody could be reached, or it went away before its answer was complete
        no_answer,     ///< it did not answer in time, or with something that is not its protocol, or with too much
        other_daemon,  ///< it is no brokerd but a Docker engine, which does not know what was asked for; `status` is
                       ///< 404
        answered,      ///< it answered, with `status`, that it cannot or will not; 200 where that came while it worked
        not_sent,      ///< what was to be sent could not be read whole
        interrupted,   ///< by the user
    };

    Kind kind = Kind::no_answer;
    int status = 0;
    std::string message;
};

}  // namespace brokerd
