#pragma once

#include <sys/socket.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/json.h"
#include "common/os/unique_fd.h"
#include "daemon/control/control_server.h"
#include "daemon/core/plugin_queries.h"
#include "daemon/loop/core_loop.h"

namespace brokerd::test {

/// Upper bound for anything that a test waits for; never reached where all is well.
inline constexpr std::chrono::seconds kPatience{20};

/// A core that says what the test tells it to. Thread: the loop's, but for construction.
class FakeCore final : public PluginQueries {
public:
    explicit FakeCore(const Scheduler& clock) : log_{clock} {}

    [[nodiscard]] std::vector<PluginView> list() const override;
    [[nodiscard]] std::optional<PluginView> find(const std::string& name) const override;
    void when_settled(const std::string& name, std::chrono::milliseconds timeout, Settled done) override;
    void activate(const std::string& name, std::chrono::milliseconds timeout, Settled done) override;
    void note_missing_capability(const std::string& name, const std::string& capability) override;
    [[nodiscard]] std::vector<Finding> doctor() const override;
    void collect_counts(std::function<void(BrokerCounts)> done) override { done(counts); }
    [[nodiscard]] EventLog& events() noexcept override { return log_; }

    void add(PluginView view) { plugins_[view.name] = std::move(view); }
    /// Answers everybody who waits for a plugin.
    void settle(const std::string& name);

    std::vector<Finding> findings;
    BrokerCounts counts;
    std::vector<std::string> missing;  ///< "NAME CAPABILITY"
    std::vector<std::chrono::milliseconds> timeouts;
    bool throws = false;

private:
    std::map<std::string, PluginView> plugins_;
    std::multimap<std::string, Settled> waiting_;
    EventLog log_;
};

[[nodiscard]] PluginView plugin(std::string name, std::string state, std::vector<std::string> implements = {});
[[nodiscard]] PluginEvent event(std::string action, std::string name, std::vector<std::string> implements = {});

struct Reply {
    unsigned status = 0;
    std::string head;
    std::string body;

    [[nodiscard]] rapidjson::Document json() const;
    [[nodiscard]] std::string message() const { return string_member(json(), "message"); }
};

/// A Unix connection that reads and writes raw bytes. Throws std::runtime_error when its patience ends.
class Client {
public:
    explicit Client(const std::string& path);

    void send(std::string_view bytes);
    void end_output() { ::shutdown(socket_.get(), SHUT_WR); }
    /// The next answer, by its Content-Length.
    [[nodiscard]] Reply receive(bool to_head = false);
    /// The head of a stream; its lines come after it.
    [[nodiscard]] std::string receive_head();
    /// The next line of a chunked (or close-delimited) stream, without its end.
    [[nodiscard]] std::string receive_line(bool chunked = true);
    /// Whether the server has closed, after the bytes received so far.
    [[nodiscard]] bool receive_end();
    [[nodiscard]] Reply get(const std::string& target) { return request("GET", target); }
    [[nodiscard]] Reply post(const std::string& target, const std::string& body = {}) {
        return request("POST", target, body);
    }
    [[nodiscard]] Reply request(const std::string& method, const std::string& target, const std::string& body = {});

    [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }

private:
    [[nodiscard]] bool fill();
    [[nodiscard]] std::string take_until(std::string_view end);

    UniqueFd socket_;
    std::string buffer_;
    std::string line_;
};

/// A listening Unix socket in a directory of its own.
class SocketDirectory {
public:
    SocketDirectory();
    ~SocketDirectory();
    [[nodiscard]] std::string path(std::string_view name) const { return directory_ / name; }

private:
    std::filesystem::path directory_;
};

/// The control server on a real core loop in a thread of its own.
class ControlFixture {
public:
    explicit ControlFixture(ControlServer::Settings settings = {});
    ~ControlFixture();

    /// Runs `work` on the loop's thread and waits for it.
    template <class Work>
    auto on_loop(Work work) {
        auto future = loop.call(std::move(work));
        if (future.wait_for(kPatience) != std::future_status::ready)
            throw std::runtime_error{"the core loop does not answer"};
        return future.get();
    }
    void add(PluginView view) {
        on_loop([&] { core.add(std::move(view)); });
    }
    void publish(PluginEvent published) {
        on_loop([&] { core.events().publish(std::move(published)); });
    }
    [[nodiscard]] Client connect() const { return Client{path}; }
    /// Ends the loop, then the server, as main does.
    void shut_down();

    SocketDirectory directory;
    std::string path;
    CoreLoop loop;
    FakeCore core;
    std::optional<ControlServer> server;

private:
    std::thread thread_;
};

/// The number in a line of /proc/self/status, or of entries in /proc/self/fd.
[[nodiscard]] std::size_t thread_count();
[[nodiscard]] std::size_t descriptor_count();
/// Whether `condition` becomes true while the test is patient.
[[nodiscard]] bool eventually(const std::function<bool()>& condition);

}  // namespace brokerd::test
