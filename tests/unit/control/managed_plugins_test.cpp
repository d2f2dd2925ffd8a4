#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "tests/unit/control/control_fixture.h"
#include "tests/unit/managed/store_fixture.h"

using namespace brokerd;
using namespace brokerd::test;

namespace {

using Names = std::vector<std::string>;

std::string encoded(std::string_view text) {
    std::string target;
    for (const char c : text) target += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    return target;
}

/// A control server with installed plugins.
struct Host {
    ControlFixture broker;
    Client client{broker.connect()};

    PluginRecordPtr add(const std::string& name, bool enabled = false,
                        const std::string& types = "\"docker.volumedriver/1.0\"") {
        auto config = PluginConfig::parse(
            R"({"entrypoint":["/p"],"env":[{"name":"A","value":"1","settable":["value"]},{"name":"B","value":"2"}],)"
            R"("interface":{"socket":"p.sock","types":[)" +
            types + "]}}");
        if (!config) throw std::runtime_error{config.error().str()};
        PluginRecord record = make_record(name);
        record.settings = PluginSettings::defaults_of(*config);
        record.config = std::make_shared<const PluginConfig>(*std::move(config));
        record.granted.clear();
        record.enabled = enabled;
        auto added = broker.operations.rooms().plugins.change(
            [&](PluginStore& store) { return store.install(make_staged(store, "x"), std::move(record)); });
        if (!added) throw std::runtime_error{added.error().message};
        return *added;
    }
    [[nodiscard]] Reply list(const std::string& filters) { return client.get("/plugins?filters=" + encoded(filters)); }
    [[nodiscard]] Names names(const std::string& filters) {
        const Reply reply = list(filters);
        if (reply.status != 200) return {reply.message()};
        Names found;
        const rapidjson::Document document = reply.json();
        for (const auto& item : document.GetArray()) found.push_back(string_member(item, "Name"));
        return found;
    }
};

}  // namespace

TEST_CASE("installed plugins are listed as Docker lists them", "[control]") {
    Host host;
    CHECK(host.client.get("/plugins").body == "[]\n");
    const PluginRecordPtr plugin = host.add("me/p:latest", true);
    for (const char* path : {"/plugins", "/v1.24/plugins", "/v1.50/plugins?filters="}) {
        const Reply reply = host.client.get(path);
        CHECK(reply.status == 200);
        const rapidjson::Document document = reply.json();
        REQUIRE(document.Size() == 1);
        const auto& shown = document[0];
        CHECK(string_member(shown, "Id") == plugin->id);
        CHECK(string_member(shown, "Name") == "me/p:latest");
        CHECK(string_member(shown, "PluginReference") == "docker.io/me/p:latest");
        CHECK(shown["Enabled"].GetBool());
        CHECK(shown["Config"]["Interface"]["Types"][0] == "docker.volumedriver/1.0");
        CHECK(shown["Settings"]["Env"][0] == "A=1");
    }
}

TEST_CASE("plugins are filtered by what is asked for, in both forms of Docker's filters", "[control]") {
    Host host;
    host.add("net:latest", true, R"("docker.networkdriver/1.0")");
    host.add("off:latest");
    host.add("two:latest", true, R"("docker.volumedriver/1.0","docker.networkdriver/1.0")");
    CHECK(host.names("{}") == Names{"net:latest", "off:latest", "two:latest"});
    for (const char* filters : {R"({"enabled":["true"]})", R"({"enabled":{"true":true}})"}) {
        CHECK(host.names(filters) == Names{"net:latest", "two:latest"});
    }
    for (const char* filters : {R"({"enabled":["false"]})", R"({"enabled":{"false":true}})"}) {
        CHECK(host.names(filters) == Names{"off:latest"});
    }
    // Docker drops plugins with two capabilities here.
    for (const char* filters : {R"({"capability":["volumedriver"]})", R"({"capability":{"VolumeDriver":true}})"}) {
        CHECK(host.names(filters) == Names{"off:latest", "two:latest"});
    }
    CHECK(host.names(R"({"capability":["networkdriver"]})") == Names{"net:latest", "two:latest"});
    CHECK(host.names(R"({"capability":["networkdriver","authz"]})") == Names{"net:latest", "two:latest"});
    CHECK(host.names(R"({"enabled":["true","false"]})") == Names{"net:latest", "two:latest"});
    CHECK(host.names(R"({"capability":["volumedriver"],"enabled":["true"]})") == Names{"two:latest"});
    CHECK(host.names(R"({"capability":["authz"]})").empty());
}

TEST_CASE("filters that Docker does not know are refused in its words", "[control]") {
    Host host;
    CHECK(host.names(R"({"name":["p"]})") == Names{"Invalid filter 'name'"});
    CHECK(host.names(R"({"enabled":["perhaps"]})") == Names{"Invalid filter 'enabled=[perhaps]'"});
    for (const char* filters :
         {"[]", "{", "1", "null", R"({"enabled":[]})", R"({"enabled":[1]})", R"({"enabled":"true"})"}) {
        CHECK(host.list(filters).status == 400);
    }
}

TEST_CASE("a plugin is inspected by name, ID and unique beginning of its ID", "[control]") {
    Host host;
    const PluginRecordPtr plugin = host.add("me/p:latest");
    for (const std::string& name : {std::string{"me/p"}, std::string{"me/p:latest"}, std::string{"me%2Fp%3Alatest"},
                                    std::string{"docker.io/me/p"}, plugin->id, plugin->id.substr(0, 12)}) {
        const Reply reply = host.client.get("/plugins/" + name + "/json");
        CHECK(reply.status == 200);
        CHECK(string_member(reply.json(), "Id") == plugin->id);
    }
    for (const char* name : {"p", "me/p:1", "zzz"}) {
        const Reply reply = host.client.get(fmt::format("/plugins/{}/json", name));
        CHECK(reply.status == 404);
        CHECK(reply.message() == fmt::format("plugin \"{}\" not found", name));
    }
}

TEST_CASE("a beginning that several IDs have is refused", "[control]") {
    Host host;
    std::set<char> first;
    char shared = 0;
    for (int number = 0; shared == 0; ++number) {  // at the latest the seventeenth
        const char digit = host.add(fmt::format("p{}:latest", number))->id.front();
        if (!first.insert(digit).second) shared = digit;
    }
    const Reply reply = host.client.get(fmt::format("/plugins/{}/json", shared));
    CHECK(reply.status == 400);
    CHECK(reply.message() == fmt::format("multiple plugins found for \"{}\"", shared));
}

TEST_CASE("settings are set, or refused without a trace", "[control]") {
    Host host;
    host.add("p:latest");
    CHECK(host.client.post("/plugins/p/set", R"(["A=5"])").status == 204);
    CHECK(host.client.get("/plugins/p/json").json()["Settings"]["Env"][0] == "A=5");
    for (const char* body : {"", "{}", "null", "[1]", R"(["A=6",null])", R"(["A=6")", R"("A=6")", R"(["A=6","B=1"])",
                             R"(["A=6","C=1"])", R"(["A=6",""])"}) {
        const Reply reply = host.client.post("/plugins/p/set", body);
        CHECK(reply.status == 400);
        CHECK_FALSE(reply.message().empty());
    }
    CHECK(host.client.get("/plugins/p/json").json()["Settings"]["Env"][0] == "A=5");
    CHECK(host.client.post("/plugins/p/set", "[]").status == 204);
    CHECK(host.client.post("/plugins/q/set", R"(["A=5"])").status == 404);
    host.add("on:latest", true);
    CHECK(host.client.post("/plugins/on/set", R"(["A=5"])").status == 409);
}

TEST_CASE("enable and disable wait for the plugin, and pass on why it failed", "[control]") {
    Host host;
    host.add("p:latest");
    FakePluginRuns& runs = host.broker.operations.runs();
    runs.start_problem = "it exited with status 3";
    const Reply failed = host.client.post("/plugins/p/enable?timeout=30");
    CHECK(failed.status == 500);
    CHECK_THAT(failed.message(), Catch::Contains("it exited with status 3"));
    CHECK_FALSE(host.client.get("/plugins/p/json").json()["Enabled"].GetBool());
    runs.start_problem.reset();
    CHECK(host.client.post("/plugins/p/enable?timeout=7").status == 200);
    CHECK(runs.last_timeout == std::chrono::seconds{7});
    CHECK(host.client.get("/plugins/p/json").json()["Enabled"].GetBool());
    CHECK(host.client.post("/plugins/p/enable").status == 409);
    runs.using_it = std::vector<std::string>{"dockerd (pid 1)"};
    CHECK(host.client.post("/plugins/p/disable").status == 409);
    CHECK(host.client.post("/plugins/p/disable?force=1").status == 200);
    CHECK(host.client.post("/plugins/q/enable").status == 404);
    for (const char* timeout : {"-1", "3601", "x", "1.5"})
        CHECK(host.client.post("/plugins/p/enable?timeout=" + std::string{timeout}).status == 400);
}

TEST_CASE("a plugin is disabled and removed", "[control]") {
    Host host;
    const PluginRecordPtr plugin = host.add("p:latest", true);
    const Reply refused = host.client.request("DELETE", "/plugins/p");
    CHECK(refused.status == 409);
    CHECK(refused.message() == "plugin p:latest is enabled");
    for (const char* force : {"", "0", "false", "False", "NO", "none"}) {
        CHECK(host.client.request("DELETE", fmt::format("/plugins/p?force={}", force)).status == 409);
    }
    CHECK(host.client.post("/plugins/p/disable").status == 200);
    CHECK(host.client.post("/plugins/p/disable").status == 409);
    const Reply removed = host.client.request("DELETE", "/plugins/p");
    CHECK(removed.status == 200);
    CHECK(string_member(removed.json(), "Id") == plugin->id);
    CHECK(host.client.request("DELETE", "/plugins/p").status == 404);
    host.add("p:latest", true);
    CHECK(host.client.request("DELETE", "/plugins/p?force=1").status == 200);
}

TEST_CASE("what a pull is asked for is checked before any registry is", "[control]") {
    Host host;
    host.add("me/p:latest");
    for (const char* target :
         {"/plugins/pull", "/plugins/pull?remote=", "/plugins/pull?remote=No%20Name", "/plugins/privileges",
          "/plugins/privileges?remote=..%2Fx", "/plugins/pull?remote=me%2Fp&name=a%20b"}) {
        const bool reads = std::string_view{target}.starts_with("/plugins/privileges");
        const Reply reply = host.client.request(reads ? "GET" : "POST", target, reads ? "" : "[]");
        CHECK(reply.status == 400);
        CHECK_FALSE(reply.message().empty());
    }
    for (const char* body : {"{", "{}", "[1]", R"([{"Name":1}])"}) {
        CHECK(host.client.post("/plugins/pull?remote=localhost:1/p", body).status == 400);
    }
}

TEST_CASE("what was not loaded cannot be installed", "[control]") {
    Host host;
    const std::string digest = "sha256:" + std::string(64, 'a');
    for (const std::string& wrong :
         {std::string{}, std::string{"x"}, std::string{"sha256:aa"}, digest + "a", "md5:" + std::string(32, 'a')}) {
        const Reply reply =
            host.client.post("/broker/v1/plugins/install?name=p&digest=" + encoded(wrong), R"({"Privileges":[]})");
        CHECK(reply.status == 400);
        CHECK_FALSE(reply.message().empty());
    }
}
