#pragma once

#include <chrono>
#include <string>

#include "common/result.h"

namespace brokerd {

/// What a caller can decide on when a registry transfer failed; the API chooses its status by it.
enum class RegistryErrorKind {
    not_found,     ///< the registry has no such repository, tag or blob
    unauthorized,  ///< it wants other credentials, or some
    denied,        ///< it knows who asks, and refuses
    unreachable,   ///< no connection, or none that holds; also a registry in trouble (5xx, 429) after all attempts
    invalid,       ///< it answers what it must not: wrong digest, wrong size, no HTTP
    io,            ///< writing or reading failed on this host
    cancelled,
};

/// One sentence for the user: what failed, with whom, why. What a registry said is escaped and cut; secrets (passwords,
/// tokens, signed query strings) are never in it.
struct RegistryError {
    RegistryErrorKind kind = RegistryErrorKind::invalid;
    std::string message;
    bool transient = false;  ///< the same request may work later; the client has already made its attempts
    std::chrono::milliseconds retry_after{0};  ///< what the registry asked for, 0: nothing
};

template <class T>
using RegistryResult = Result<T, RegistryError>;

}  // namespace brokerd
