#pragma once

#include <cstddef>
#include <functional>
#include <future>
#include <string>
#include <string_view>

#include "daemon/control/http_server.h"
#include "daemon/control/job.h"
#include "tests/unit/control/raw_client.h"

namespace brokerd::test {

/// A server without plugins. "/job" runs the test's job and reads the body as it comes, "/collected" runs it on a
/// collected body, "/never" is never answered, "/refuse" takes streamed bodies and answers 409; all else gets 200,
/// "OK".
class JobFixture {
public:
    using Work = std::function<void(Job& job, const ControlRequest& request)>;

    explicit JobFixture(Work work, HttpServer::Limits limits = {});

    [[nodiscard]] Client connect() const { return Client{path_}; }
    /// A connection that has sent the head of a POST to `target`, and `body`.
    [[nodiscard]] Client post(std::string_view headers, std::string_view body = {}, std::string_view target = "/job");
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    void stop() { server_.stop(); }

private:
    void handle(const ControlRequest& request, const Exchange& exchange);

    SocketDirectory directory_;
    std::string path_;
    Work work_;
    HttpServer server_;
};

/// A listening socket. Throws std::runtime_error.
[[nodiscard]] UniqueFd listen_on(const std::string& path);

/// A value that a job hands to its test.
template <class Value>
class Told {
public:
    void tell(Value value) { promise_.set_value(std::move(value)); }
    /// Throws std::runtime_error when the test's patience ends.
    [[nodiscard]] Value get() {
        if (future_.wait_for(kPatience) != std::future_status::ready) throw std::runtime_error{"nothing was told"};
        return future_.get();
    }

private:
    std::promise<Value> promise_;
    std::future<Value> future_ = promise_.get_future();
};

/// `size` bytes of a sequence in which a lost, doubled or moved byte shows; `offset` is where they lie in it.
[[nodiscard]] std::string pattern(std::size_t offset, std::size_t size);
/// Whether `fd` becomes readable while the test is patient.
[[nodiscard]] bool becomes_readable(int fd);
/// What the process holds at most from here on, beyond what it holds now; and whether that can be measured here.
class MemoryPeak {
public:
    MemoryPeak();
    [[nodiscard]] std::size_t growth() const;
    static constexpr bool kMeasurable =
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
        false;
#else
        true;
#endif

private:
    std::size_t before_;
};

}  // namespace brokerd::test
