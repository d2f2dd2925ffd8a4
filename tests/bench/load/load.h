#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/load/address.h"
#include "tests/bench/load/histogram.h"
#include "tests/bench/load/message.h"
#include "tests/bench/load/poller.h"

namespace brokerd::bench {

/// What to ask of whom.
struct Task {
    std::vector<Address> to;  ///< connection N goes to the address N modulo their number
    unsigned connections = 1;
    std::string path = "/VolumeDriver.Get";
    std::uint64_t body = 20;              ///< bytes of a request
    std::uint64_t answer = 200;           ///< bytes that its answer must have
    std::chrono::nanoseconds warm_up{0};  ///< answers in it are not measured
    std::chrono::nanoseconds time{0};     ///< how long after that, unless `requests` is given
    std::uint64_t requests = 0;
    bool churn = false;  ///< a new connection for each request
    bool hold = false;   ///< each connection makes one request (none if `silent`), few at a time, and then stays open
    bool silent = false;
};

struct Result {
    std::uint64_t all = 0;       ///< requests answered, from beginning to end
    std::uint64_t measured = 0;  ///< of these, within `seconds`
    double seconds = 0;
    std::uint64_t errors =
        0;  ///< anything but a 200 with the whole body expected; a result with errors is worth nothing
    std::string first_error;
    Histogram latency;
};

/// Closed-loop load: each connection has one request under way. Connections stay open until it is destroyed.
class Load {
public:
    Load(Poller& poller, Task task);
    ~Load();
    /// Polls until all is done. Requests under way at the end are waited for; those that hang are errors.
    Result run();

private:
    using Clock = std::chrono::steady_clock;
    class Client;
    friend Client;

    /// Whether one more request may begin.
    [[nodiscard]] bool wants_more(Clock::time_point now) const;
    void record(Clock::time_point begun, Clock::time_point ended);
    void fail(const std::string& why);
    void start_next_held();

    Poller& poller_;
    Task task_;
    Message request_;
    HeadMemory heads_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::size_t next_held_ = 0;
    std::vector<char> buffer_;
    std::uint64_t begun_ = 0;
    unsigned busy_ = 0;
    Clock::time_point measured_from_, measured_to_, last_answer_;
    Result result_;
};

}  // namespace brokerd::bench
