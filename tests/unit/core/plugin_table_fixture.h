#pragma once

#include "daemon/core/plugin_table.h"

#include <filesystem>
#include <list>

#include "tests/unit/proxy/proxy_fixture.h"

namespace brokerd::test {

/// A plugin that answers whatever it is asked with one and the same answer, whenever turn() is called.
class PlayedPlugin {
public:
    explicit PlayedPlugin(std::string path) : path_{std::move(path)} { listen(); }
    ~PlayedPlugin() { std::filesystem::remove(path_); }
    PlayedPlugin(const PlayedPlugin&) = delete;
    PlayedPlugin& operator=(const PlayedPlugin&) = delete;

    /// As after a restart: another socket in the place of the old one, whose connections go on.
    void listen() {
        std::filesystem::remove(path_);
        listener_ = listen_at(path_);
    }
    void close_connections() { connections_.clear(); }
    /// Answers what has come.
    void turn() {
        pollfd ready{listener_.get(), POLLIN, 0};
        while (::poll(&ready, 1, 0) == 1) connections_.push_back(Peer::accept(listener_));
        connections_.remove_if([this](Peer& peer) { return !is_mute && peer.is_readable() && !answer(peer); });
    }

    unsigned status = 200;
    std::string body = R"({"Implements":["VolumeDriver"]})";
    bool is_mute = false;  ///< accepts, and answers nothing
    int asked = 0;         ///< handshakes

    [[nodiscard]] std::size_t connections() const { return connections_.size(); }

private:
    bool answer(Peer& peer) {
        const std::string head = peer.read_until("\r\n\r\n");
        if (head.empty()) return false;  // closed
        if (head.starts_with("POST /Plugin.Activate ")) ++asked;
        if (head.find("Content-Length: 2\r\n") != std::string::npos) peer.read(2);
        return peer.send("HTTP/1.1 " + std::to_string(status) +
                         " Told\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    }

    std::string path_;
    UniqueFd listener_;
    std::list<Peer> connections_;
};

/// A plugin table on private directories, with real proxy threads.
struct PluginTableFixture {
    /// What is to fail does so at once; what is to become active gets a window that a busy machine does not reach.
    explicit PluginTableFixture(std::chrono::milliseconds window = std::chrono::milliseconds{50}, bool eager = true)
        : settings{.activation = {.window = window,
                                  .probe_pause = std::chrono::milliseconds{10},
                                  .rejected_pause = std::chrono::milliseconds{10}},
                   .eager = eager} {}

    [[nodiscard]] PluginDefinition definition(const std::string& name, const std::string& url) const {
        PluginDefinition made;
        made.name = name;
        made.file = directory / ("p/" + name + ".spec");
        made.endpoint = *Endpoint::parse(url);
        return made;
    }
    [[nodiscard]] PluginDefinition unreachable(const std::string& name) const {
        return definition(name, "unix://" + directory / "nobody.sock");
    }
    [[nodiscard]] PluginDefinition played(const std::string& name) const {
        return definition(name, "unix://" + directory / "plugin.sock");
    }
    /// What discovery says of a file that defines nothing.
    [[nodiscard]] static PluginDefinition invalid(const std::string& name, PluginDefinition::Problem problem) {
        PluginDefinition bad;
        bad.name = name;
        bad.file = "/p/" + name + ".spec";
        bad.problem = problem;
        bad.reason = bad.file + ":1:1: it is empty";
        bad.remedy = "write tcp://HOST:PORT";
        return bad;
    }

    /// Runs the loop, and lets the played plugin answer, until `done`.
    void run_until(const std::function<bool()>& done) {
        CHECK(test::run_until(loop, [&] {
            if (plugin) plugin->turn();
            return done();
        }));
    }
    void run_until_state(const std::string& name, const std::string& wanted) {
        run_until([&] { return state(name) == wanted; });
        CHECK(state(name) == wanted);
    }
    /// Defines the plugin "x" that is played, and lets it become active.
    void play() {
        plugin.emplace(directory / "plugin.sock");
        table.apply("x", played("x"));
        run_until_state("x", "active");
    }
    /// What an engine gets for one call on a connection of its own.
    std::string call(const std::string& name, const std::string& path = "/VolumeDriver.List") {
        Peer engine = Peer::connect(table.find(name)->published.at(0));
        REQUIRE(
            engine.send("POST " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"));
        run_until([&] { return engine.is_readable(); });
        return engine.read_to_end();
    }

    [[nodiscard]] std::string state(const std::string& name) const {
        const auto view = table.find(name);
        return view ? view->state : "absent";
    }
    [[nodiscard]] std::vector<std::string> actions() {
        std::vector<std::string> all;
        for (const PluginEvent& event : table.events().kept()) all.push_back(event.action);
        return all;
    }
    /// What doctor finds, each as "PLUGIN SEVERITY PROBLEM".
    [[nodiscard]] std::vector<std::string> findings() const {
        std::vector<std::string> all;
        for (const Finding& finding : table.doctor())
            all.push_back(finding.plugin + " " + finding.severity + " " + finding.problem);
        return all;
    }

    TemporaryDirectory directory;
    std::optional<PlayedPlugin> plugin;
    CoreLoop loop;
    PublishedSockets sockets{directory / "r", directory / "e", std::nullopt};
    PluginTableSettings settings;
    PluginTable table{loop, sockets, settings};
};

}  // namespace brokerd::test
