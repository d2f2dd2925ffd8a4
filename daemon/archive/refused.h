#pragma once

#include <stdexcept>
#include <string>

namespace brokerd {

/// Why the worker gives up: a sentence for the user. Only inside the worker process, where whatever goes wrong ends the
/// one job that the process has, so that there is one place that catches it: run_archive_job().
class Refused : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

}  // namespace brokerd
