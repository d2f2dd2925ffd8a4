#pragma once

#include <stdexcept>
#include <string>

namespace brokerd {

/// Why the worker gives up, as the end of a sentence whose subject is the layer or archive: "is no good gzip stream".
/// Only inside the worker process, where whatever goes wrong ends the one job that the process has, so that there is
/// one place that catches it.
class Refused : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The same where the subject is the entry in progress: "has \"..\" in its name".
class EntryRefused : public Refused {
public:
    using Refused::Refused;
};

/// The same where the archive is not to blame: the disk is full, for example.
class HostFailure : public EntryRefused {
public:
    using EntryRefused::EntryRefused;
};

}  // namespace brokerd
