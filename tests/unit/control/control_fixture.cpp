#include "tests/unit/control/control_fixture.h"

#include <unistd.h>

#include <stdexcept>

#include "daemon/control/control_socket.h"

namespace brokerd::test {
std::vector<PluginView> FakeCore::list() const {
    ++lists;
    if (throws) throw std::runtime_error{"list is broken"};
    std::vector<PluginView> all;
    for (const auto& [name, view] : plugins_) all.push_back(view);
    return all;
}

std::optional<PluginView> FakeCore::find(const std::string& name) const {
    ++finds;
    const auto found = plugins_.find(name);
    return found == plugins_.end() ? std::nullopt : std::optional{found->second};
}

void FakeCore::when_settled(const std::string& name, std::chrono::milliseconds timeout, Settled done) {
    timeouts.push_back(timeout);
    const auto found = find(name);
    if (!found || found->state == "active" || found->state == "failed" || found->state == "invalid") return done(found);
    waiting_.emplace(name, std::move(done));
}

void FakeCore::activate(const std::string& name, std::chrono::milliseconds timeout, Settled done) {
    timeouts.push_back(timeout);
    if (!find(name)) return done(std::nullopt);
    waiting_.emplace(name, std::move(done));
}

void FakeCore::settle(const std::string& name) {
    const auto [begin, end] = waiting_.equal_range(name);
    for (auto waiter = begin; waiter != end; ++waiter) waiter->second(find(name));
    waiting_.erase(begin, end);
}

void FakeCore::note_missing_capability(const std::string& name, const std::string& capability) {
    missing.push_back(name + " " + capability);
}

std::vector<Finding> FakeCore::doctor() const {
    return findings;
}

PluginView plugin(std::string name, std::string state, std::vector<std::string> implements) {
    PluginView view;
    view.name = std::move(name);
    view.state = std::move(state);
    view.implements = std::move(implements);
    return view;
}

PluginEvent event(std::string action, std::string name, std::vector<std::string> implements) {
    PluginEvent published;
    published.action = std::move(action);
    published.plugin = std::move(name);
    published.implements = std::move(implements);
    return published;
}

ControlFixture::ControlFixture(ControlServer::Settings settings)
    : path{directory.path("control.sock")}, core{loop}, operations{directory.path("state")} {
    auto socket = bind_control_socket(path, std::nullopt);
    if (!socket) throw std::runtime_error{socket.error().message};
    settings.peers.own_uid = ::geteuid();
    server.emplace(loop, core, operations.rooms(), std::move(*socket), settings);
    thread_ = std::thread{[this] { loop.run(); }};
}

ControlFixture::~ControlFixture() {
    shut_down();
}

void ControlFixture::shut_down() {
    if (thread_.joinable()) {
        loop.post([this] { loop.stop(0); });
        thread_.join();
    }
    server.reset();
}

}  // namespace brokerd::test
