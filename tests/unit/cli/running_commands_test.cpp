#include <catch2/catch.hpp>
#include <functional>
#include <mutex>

#include "tests/unit/cli/run_cli.h"
#include "tests/unit/common/scripted_server.h"

namespace brokerd::cli {
namespace {

using Script = std::function<ScriptedServer::Answer(const std::string& line)>;

/// A daemon that answers by the first line of a request.
class Daemon {
public:
    explicit Daemon(Script script)
        : server_{ScriptedServer::Script{[script = std::move(script)](const std::string& request) {
              return script(request.substr(0, request.find(" HTTP")));
          }}} {}

    [[nodiscard]] std::string path() const { return server_.path(); }
    [[nodiscard]] std::string asked() const {
        std::string out;
        for (const std::string& request : server_.requests()) out += request.substr(0, request.find(" HTTP")) + "\n";
        return out;
    }

private:
    ScriptedServer server_;
};

Script always(int status, const std::string& body) {
    return [=](const std::string&) { return ScriptedServer::Answer{ScriptedServer::reply(status, body)}; };
}

std::string refusal(const std::string& message) {
    return R"({"message":")" + message + "\"}";
}

std::string view(const std::string& state, const std::string& more = "") {
    return R"({"Name":"v/s:latest","Kind":"managed","State":")" + state + "\"" + more + "}";
}

/// Tells the plugin's states one after another, the last one for ever, and a stream with `events`.
Daemon with_states(std::vector<std::string> states, const std::string& events, bool holds = false) {
    const auto next = std::make_shared<std::size_t>(0);
    return Daemon{[=](const std::string& line) -> ScriptedServer::Answer {
        if (line.find("/events?") != std::string::npos) {
            return {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
                        (events.empty() ? "" : ScriptedServer::chunk(events)) +
                        (holds ? "" : ScriptedServer::chunk("")),
                    holds};
        }
        const std::string& state = states.at(std::min(*next, states.size() - 1));
        ++*next;
        if (state.empty()) return {ScriptedServer::reply(404, refusal("plugin v/s not found"))};
        return {ScriptedServer::reply(200, state)};
    }};
}

const std::string kEvent = R"({"Action":"running","Plugin":"v/s:latest"})"
                           "\n";

}  // namespace

TEST_CASE("enable gives the plugin docker's thirty seconds, or what is said", "[cli]") {
    const Daemon daemon{always(200, "")};
    const Ran ran = run_cli({"enable", "vieux/sshfs"}, daemon.path());
    CHECK(ran.status == 0);
    CHECK(ran.out == "vieux/sshfs\n");
    CHECK(run_cli({"enable", "vieux/sshfs:2", "--timeout", "5"}, daemon.path()).status == 0);
    CHECK(daemon.asked() ==
          "POST /plugins/vieux/sshfs/enable?timeout=30\nPOST /plugins/vieux/sshfs:2/enable?timeout=5\n");
    CHECK(run_cli({"enable", "--timeout=-1", "a"}, daemon.path()).status == 2);
    CHECK(run_cli({"enable", ""}, daemon.path()).status == 2);
    CHECK(run_cli({"enable"}, daemon.path()).status == 2);
}

TEST_CASE("enable and disable tell the daemon's reason", "[cli]") {
    const Daemon daemon{always(409, refusal("plugin a is in use by dockerd (pid 12)"))};
    for (const char* command : {"enable", "disable"}) {
        const Ran ran = run_cli({command, "a"}, daemon.path());
        CHECK(ran.status == 1);
        CHECK(ran.out.empty());
        CHECK(ran.err == std::string{"pluginctl "} + command + ": plugin a is in use by dockerd (pid 12)\n");
    }
}

TEST_CASE("disable asks first, or not", "[cli]") {
    const Daemon daemon{always(200, "")};
    CHECK(run_cli({"disable", "a"}, daemon.path()).out == "a\n");
    CHECK(run_cli({"disable", "-f", "a"}, daemon.path()).out == "a\n");
    CHECK(run_cli({"disable", "a", "--force"}, daemon.path()).out == "a\n");
    CHECK(daemon.asked() ==
          "POST /plugins/a/disable\nPOST /plugins/a/disable?force=1\nPOST /plugins/a/disable?force=1\n");
    CHECK(run_cli({"disable", "a", "b"}, daemon.path()).status == 2);
}

TEST_CASE("install of what runs already is no failure", "[cli]") {
    const Daemon daemon{[](const std::string& line) -> ScriptedServer::Answer {
        const auto has = [&](const char* text) { return line.find(text) != std::string::npos; };
        if (has("/enable?")) return {ScriptedServer::reply(409, refusal("already enabled"))};
        if (has("/json")) return {ScriptedServer::reply(200, R"({"Name":"v/s:latest","Enabled":true})")};
        if (has("/privileges?")) return {ScriptedServer::reply(200, "[]")};
        return {ScriptedServer::reply(200, "")};
    }};
    const Ran ran = run_cli({"install", "v/s"}, daemon.path());
    CHECK(ran.status == 0);
    CHECK(ran.err.empty());
}

TEST_CASE("wait returns at once where there is nothing to wait for", "[cli]") {
    const Daemon daemon = with_states({view("running")}, "");
    CHECK(run_cli({"wait", "v/s"}, daemon.path()).status == 0);
    CHECK(run_cli({"wait", "v/s", "--for=running"}, daemon.path()).status == 0);
    CHECK(daemon.asked() == "GET /broker/v1/plugins/v/s/json\nGET /broker/v1/plugins/v/s/json\n");
    const Daemon legacy = with_states({R"({"Name":"l","Kind":"legacy","State":"active"})"}, "");
    CHECK(run_cli({"wait", "l"}, legacy.path()).status == 0);
    CHECK(run_cli({"wait", "l", "--for=disabled"}, legacy.path()).err ==
          "pluginctl wait: l will never be disabled: a file in a plugin directory defines it\n");
}

TEST_CASE("wait looks again when an event tells of its plugin", "[cli]") {
    const std::string other = R"({"Action":"active","Plugin":"other"})"
                              "\n";
    const Daemon daemon = with_states({view("starting"), view("unhealthy"), view("running")}, other + kEvent + kEvent);
    CHECK(run_cli({"wait", "v/s", "--timeout", "60"}, daemon.path()).status == 0);
    CHECK(daemon.asked() ==
          "GET /broker/v1/plugins/v/s/json\nGET /broker/v1/events?replay=64\n"
          "GET /broker/v1/plugins/v/s/json\nGET /broker/v1/plugins/v/s/json\n");
    const Daemon unhealthy = with_states({view("starting"), view("unhealthy")}, kEvent);
    CHECK(run_cli({"wait", "v/s", "--for", "running"}, unhealthy.path()).status == 0);
    const Daemon ended = with_states({view("stopping"), view("disabled")}, kEvent);
    CHECK(run_cli({"wait", "v/s", "--for", "disabled"}, ended.path()).status == 0);
}

TEST_CASE("wait ends with its time, and says what the plugin does", "[cli]") {
    const Daemon daemon =
        with_states({view("restarting", R"(,"Restarts":3,"Reason":"exited with status 1","Enabled":true)")}, "", true);
    const Ran ran = run_cli({"wait", "v/s", "--timeout", "0"}, daemon.path());
    CHECK(ran.status == 1);
    CHECK(ran.err ==
          "pluginctl wait: v/s:latest is not healthy after 0 s, it is restarting (3): exited with status 1\n");
}

TEST_CASE("wait does not wait for what is not there", "[cli]") {
    const Daemon absent = with_states({""}, "");
    const Ran ran = run_cli({"wait", "v/s"}, absent.path());
    CHECK(ran.status == 1);
    CHECK(ran.err == "pluginctl wait: plugin v/s not found\n");
    const Daemon removed = with_states({view("starting"), ""}, kEvent, true);
    CHECK(run_cli({"wait", "v/s"}, removed.path()).status == 1);
    CHECK(run_cli({"wait", "v/s", "--for", "lunch"}, removed.path()).status == 2);
    CHECK(run_cli({"wait", "v/s", "--timeout=-2"}, removed.path()).status == 2);
    CHECK(run_cli({"wait"}, removed.path()).status == 2);
}

TEST_CASE("ls tells of a plugin in trouble", "[cli]") {
    const Daemon daemon{
        always(200, R"({"Plugins":[{"Name":"a","State":"restarting","Restarts":3,"Reason":"exited with status 1"},
                {"Name":"b","State":"unhealthy","Reason":"no answer"},{"Name":"c","State":"running","Restarts":2},
                {"Name":"d","State":"failed","Restarts":1,"LastExit":"exited with status 2"}]})")};
    CHECK(run_cli({"ls", "--format", "{{.Name}} {{.Status}}"}, daemon.path()).out ==
          "a restarting (3): exited with status 1\nb unhealthy: no answer\nc running\n"
          "d failed (1): exited with status 2\n");
}

TEST_CASE("inspect adds what brokerd observes to docker's object", "[cli]") {
    const Daemon daemon{[](const std::string& line) -> ScriptedServer::Answer {
        if (line.find("/broker/v1/") == std::string::npos) {
            return {ScriptedServer::reply(200, R"({"Name":"v/s:latest","Settings":{"Env":["A=}"]}})"
                                               "\n")};
        }
        return {ScriptedServer::reply(200, view("running", R"(,"Pid":12,"Restarts":2,"LastExit":"was killed",
            "Leases":[{"Pid":1,"Command":"dockerd"}])"))};
    }};
    CHECK(run_cli({"inspect", "v/s", "-f",
                   "{{.Name}} {{.Broker.State}} {{.Broker.Pid}} {{.Broker.Restarts}} "
                   "{{.Broker.LastExit}} {{json .Broker.Leases}}"},
                  daemon.path())
              .out == "v/s:latest running 12 2 was killed [{\"Pid\":1,\"Command\":\"dockerd\"}]\n");
    CHECK_THAT(run_cli({"inspect", "v/s"}, daemon.path()).out, Catch::Contains("\"Broker\": {"));
}

}  // namespace brokerd::cli
