#pragma once

#include <future>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/json.h"
#include "common/os/unique_fd.h"
#include "daemon/control/control_server.h"
#include "daemon/core/plugin_queries.h"
#include "daemon/loop/core_loop.h"
#include "tests/unit/control/raw_client.h"
#include "tests/unit/control/test_operations.h"

namespace brokerd::test {

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
    [[nodiscard]] Leases& leases() noexcept override { return leases_; }

    void add(PluginView view) { plugins_[view.name] = std::move(view); }
    /// Answers everybody who waits for a plugin.
    void settle(const std::string& name);

    std::vector<Finding> findings;
    BrokerCounts counts;
    std::vector<std::string> missing;  ///< "NAME CAPABILITY"
    std::vector<std::chrono::milliseconds> timeouts;
    bool throws = false;
    mutable int lists = 0, finds = 0;  ///< how often they were asked for

private:
    std::map<std::string, PluginView> plugins_;
    std::multimap<std::string, Settled> waiting_;
    EventLog log_;
    Leases leases_;
};

[[nodiscard]] PluginView plugin(std::string name, std::string state, std::vector<std::string> implements = {});
[[nodiscard]] PluginEvent event(std::string action, std::string name, std::vector<std::string> implements = {});

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
    TestOperations operations;
    std::optional<ControlServer> server;

private:
    std::thread thread_;
};

}  // namespace brokerd::test
