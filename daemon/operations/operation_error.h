#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "common/result.h"

namespace brokerd {

/// Why an operation on managed plugins failed: one sentence for the user, and what kind of failure it is, by which the
/// control API chooses its status.
struct OperationError {
    enum class Kind : std::uint8_t {
        invalid,       ///< what was asked for makes no sense, or the image is none of a plugin
        not_found,     ///< no such plugin here, or no such image there
        conflict,      ///< the name is taken, the plugin enabled, or another operation has it
        denied,        ///< privileges that were not granted; a registry that refuses
        unauthorized,  ///< a registry wants other credentials
        unreachable,   ///< no registry answers
        storage,       ///< this host's disk
        failed,        ///< the plugin does not do what it should
        cancelled,     ///< whoever asked has gone
    };

    Kind kind = Kind::storage;
    std::string message;
};

template <class T>
using OperationResult = Result<T, OperationError>;

[[nodiscard]] inline Failure<OperationError> fail(OperationError::Kind kind, std::string message) {
    return {OperationError{kind, std::move(message)}};
}

}  // namespace brokerd
