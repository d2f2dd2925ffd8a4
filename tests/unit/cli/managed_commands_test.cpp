#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>

#include "cli/consent.h"
#include "tests/unit/cli/run_cli.h"
#include "tests/unit/common/scripted_server.h"

namespace brokerd::cli {
namespace {

namespace fs = std::filesystem;

const std::string kPrivileges =
    R"([{"Name":"network","Description":"","Value":["host"]},{"Name":"capabilities","Description":"","Value":["CAP_SYS_ADMIN","CAP_NET\u001B"]}])";
const std::string kProgress =
    "HTTP/1.1 200 OK\r\nDocker-Plugin-Name: vieux/sshfs:latest\r\nTransfer-Encoding: chunked\r\n\r\n" +
    ScriptedServer::chunk("{\"status\":\"Complete\",\"id\":\"a\"}\r\n") + ScriptedServer::chunk("");

/// A daemon that answers by the first of the given texts that a request's first line has; 404 to others.
class Daemon {
public:
    using Answers = std::vector<std::pair<std::string, std::string>>;

    explicit Daemon(Answers answers)
        : server_{ScriptedServer::Script{[answers](const std::string& request) -> ScriptedServer::Answer {
              for (const auto& [text, answer] : answers) {
                  if (request.substr(0, request.find('\r')).find(text) != std::string::npos) return {answer};
              }
              return {ScriptedServer::reply(404, R"({"message":"page not found"})")};
          }}} {}

    [[nodiscard]] std::string path() const { return server_.path(); }
    [[nodiscard]] std::vector<std::string> requests() const { return server_.requests(); }
    /// Method and path of each request.
    [[nodiscard]] std::string asked() const {
        std::string out;
        for (const std::string& request : server_.requests()) out += request.substr(0, request.find(" HTTP")) + "\n";
        return out;
    }

private:
    ScriptedServer server_;
};

Daemon registry_with(const std::string& privileges, const std::string& enable = ScriptedServer::reply(200, ""),
                     const std::string& set = ScriptedServer::reply(204, "")) {
    return Daemon{
        {{"/plugins/privileges?", ScriptedServer::reply(200, privileges)},
         {"/broker/v1/privileges?",
          ScriptedServer::reply(
              200, R"({"Undisclosed":[{"Name":"propagated mount","Description":"","Value":["/mnt\u001b"]}]})")},
         {"/plugins/pull?", kProgress},
         {"/set ", set},
         {"/enable?", enable},
         {"DELETE ", ScriptedServer::reply(200, "")}}};
}

/// A directory that is gone with its object.
class Directory {
public:
    Directory() {
        char name[] = "/tmp/b.XXXXXX";
        REQUIRE(::mkdtemp(name) != nullptr);
        path_ = name;
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    ~Directory() { fs::remove_all(path_); }
    [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
};

std::string content(const std::string& path) {
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, {}};
}

TEST_CASE("install asks for what the plugin wants, as the documentation prints it", "[cli]") {
    const Daemon daemon = registry_with(kPrivileges);
    const Ran ran = run_cli({"install", "vieux/sshfs", "DEBUG=1", "X=a,b"}, daemon.path(), "y\n");
    CHECK(ran.status == 0);
    CHECK(ran.err.empty());
    CHECK(ran.out ==
          "Plugin \"vieux/sshfs\" is requesting the following privileges:\n - network: [host]\n"
          " - capabilities: [CAP_SYS_ADMIN CAP_NET\\x1b]\nWith them it gets, without asking:\n - propagated mount: "
          "[/mnt\\x1b]\nDo you grant the above permissions? [y/N] "
          "a: Complete\nInstalled plugin vieux/sshfs\n");
    CHECK(daemon.asked() ==
          "GET /plugins/privileges?remote=docker.io%2Fvieux%2Fsshfs\n"
          "GET /broker/v1/privileges?remote=docker.io%2Fvieux%2Fsshfs\n"
          "GET /plugins/vieux/sshfs:latest/json\n"
          "POST /plugins/pull?remote=docker.io%2Fvieux%2Fsshfs&name=\n"
          "POST /plugins/vieux/sshfs:latest/set\nPOST /plugins/vieux/sshfs:latest/enable?timeout=0\n");
    CHECK_THAT(daemon.requests().at(3), Catch::EndsWith(kPrivileges));
    CHECK_THAT(daemon.requests().at(4), Catch::EndsWith(R"(["DEBUG=1","X=a,b"])"));
}

TEST_CASE("install without a yes installs nothing", "[cli]") {
    for (const char* answer : {"", "\n", "n\n", "no\n", "yep\n", "ye"}) {
        CAPTURE(answer);
        const Daemon daemon = registry_with(kPrivileges);
        const Ran ran = run_cli({"install", "vieux/sshfs"}, daemon.path(), answer);
        CHECK(ran.status == 1);
        CHECK(ran.err == "pluginctl install: Permission denied while installing plugin vieux/sshfs\n");
        CHECK(daemon.requests().size() == 2);  // the two questions of what it asks for
    }
    for (const char* answer : {"y", "Y\n", " yes \r\n", "YES\n"}) {
        CAPTURE(answer);
        const Daemon daemon = registry_with(kPrivileges);
        CHECK(run_cli({"install", "--disable", "vieux/sshfs"}, daemon.path(), answer).status == 0);
    }
}

TEST_CASE("install asks nothing where nothing is to be granted, or all is", "[cli]") {
    const Daemon modest = registry_with("[]");
    CHECK(run_cli({"install", "--disable", "--alias", "files", "localhost:5000/v/s:2"}, modest.path()).out ==
          "a: Complete\nInstalled plugin localhost:5000/v/s:2\n");
    CHECK_THAT(modest.asked(), Catch::Contains("remote=localhost%3A5000%2Fv%2Fs%3A2&name=files%3Alatest\n"));
    CHECK(modest.requests().size() == 2);
    const Daemon greedy = registry_with(kPrivileges);
    CHECK(run_cli({"install", "--grant-all-permissions", "--disable", "v/s", "--disable-content-trust=false"},
                  greedy.path())
              .status == 0);
}

TEST_CASE("a plugin that cannot be set is removed, one that cannot be enabled stays", "[cli]") {
    const std::string refusal = ScriptedServer::reply(400, R"({"message":"setting \"A\" not found"})");
    const Daemon unset = registry_with("[]", ScriptedServer::reply(200, ""), refusal);
    const Ran set = run_cli({"install", "vieux/sshfs", "A=1"}, unset.path());
    CHECK(set.status == 1);
    CHECK(set.err == "pluginctl install: setting \"A\" not found\n");
    CHECK_THAT(unset.asked(), Catch::EndsWith("DELETE /plugins/vieux/sshfs:latest\n"));

    const Daemon settled{
        {{"/plugins/privileges?", ScriptedServer::reply(200, "[]")},
         {"/plugins/pull?", kProgress},
         {"/set ", refusal},
         {"/plugins/vieux/sshfs:latest/json", ScriptedServer::reply(200, R"({"Name":"vieux/sshfs:latest"})")}}};
    CHECK(run_cli({"install", "vieux/sshfs", "A=1"}, settled.path()).status == 1);
    CHECK(settled.asked().find("DELETE") == std::string::npos);  // it was there before

    const Daemon later = registry_with("[]", ScriptedServer::reply(501, R"({"message":"not in this release"})"));
    const Ran enabled = run_cli({"install", "vieux/sshfs"}, later.path());
    CHECK(enabled.status == 1);
    CHECK(enabled.err ==
          "pluginctl install: vieux/sshfs:latest is installed but disabled: not in this release; once the cause "
          "is gone \"pluginctl enable vieux/sshfs:latest\" starts it\n");
    CHECK(later.asked().find("DELETE") == std::string::npos);
}

TEST_CASE("install sends the credentials of the plugin's registry, and prints none", "[cli]") {
    const Directory config;
    std::ofstream{config.file("config.json")} << R"({"auths":{"localhost:5000":{"auth":"am9lOnB3"}}})";
    const Daemon daemon = registry_with("[]");
    CHECK(run_cli({"install", "--disable", "localhost:5000/a"}, daemon.path(), "", config.path()).status == 0);
    for (const std::string& request : daemon.requests())
        CHECK_THAT(request, Catch::Contains("\r\nX-Registry-Auth: ey"));
    CHECK(run_cli({"install", "--disable", "localhost:5001/a"}, daemon.path(), "", config.path()).status == 0);
    CHECK_THAT(daemon.requests().back(), !Catch::Contains("X-Registry-Auth"));

    std::ofstream{config.file("config.json")} << "{";
    const Ran ran = run_cli({"install", "--disable", "localhost:5000/a"}, daemon.path(), "", config.path());
    CHECK(ran.status == 0);
    CHECK_THAT(ran.err, Catch::StartsWith("pluginctl install: warning: no credentials for localhost:5000 from "));
}

TEST_CASE("upgrade asks for what is added, and sends all", "[cli]") {
    const std::string plugin = R"({"Name":"v/s:latest","PluginReference":"docker.io/v/s:latest","Enabled":false})";
    const auto daemon_with = [&](const std::string& granted) {
        return Daemon{{{"GET /plugins/v/s/json", ScriptedServer::reply(200, plugin)},
                       {"/plugins/privileges?", ScriptedServer::reply(200, kPrivileges)},
                       {"/broker/v1/plugins/v/s:latest/privileges", granted},
                       {"/upgrade?", kProgress}}};
    };
    const Daemon daemon = daemon_with(ScriptedServer::reply(
        200,
        R"({"Privileges":[{"Name":"network","Value":["host"]},{"Name":"capabilities","Value":["CAP_SYS_ADMIN"]}]})"));
    const Ran ran = run_cli({"upgrade", "v/s"}, daemon.path(), "y\n");
    CHECK(ran.status == 0);
    CHECK(
        ran.out ==
        "Upgrading plugin v/s:latest from v/s:latest to v/s:latest\nPlugin \"v/s:latest\" is requesting the following "
        "additional privileges:\n - capabilities: [CAP_NET\\x1b]\nDo you grant the above permissions? [y/N] "
        "a: Complete\nUpgraded plugin v/s:latest to v/s:latest\n");
    CHECK_THAT(daemon.requests().back(),
               Catch::StartsWith("POST /plugins/v/s:latest/upgrade?remote=docker.io%2Fv%2Fs%3A"
                                 "latest ") &&
                   Catch::EndsWith(kPrivileges));
    // Nothing is added; and a daemon that does not tell what it granted is asked for everything.
    CHECK(run_cli({"upgrade", "v/s"},
                  daemon_with(ScriptedServer::reply(200, "{\"Privileges\":" + kPrivileges + "}")).path())
              .status == 0);
    const Ran old = run_cli({"upgrade", "v/s"}, daemon_with(ScriptedServer::reply(404, "{}")).path());
    CHECK(old.status == 1);
    CHECK_THAT(old.out, Catch::Contains("the following privileges:\n - network: [host]\n"));
    CHECK(run_cli({"upgrade", "v/s"}, daemon_with(ScriptedServer::reply(500, "{}")).path()).out.find("y/N") ==
          std::string::npos);

    const Ran other = run_cli({"upgrade", "v/s", "v/other"}, daemon.path());
    CHECK(other.status == 1);
    CHECK_THAT(other.out, Catch::EndsWith("Plugin images do not match, are you sure? [y/N] "));
    CHECK(other.err == "pluginctl upgrade: canceling upgrade request\n");
}

TEST_CASE("upgrade refuses a plugin that is enabled, or has no image", "[cli]") {
    const Daemon enabled{{{"/json", ScriptedServer::reply(200, R"({"Name":"a","Enabled":true})")}}};
    CHECK_THAT(run_cli({"upgrade", "a"}, enabled.path()).err, Catch::Contains("must be disabled before upgrading"));
    const Daemon made{{{"/json", ScriptedServer::reply(200, R"({"Name":"a","Enabled":false})")}}};
    CHECK_THAT(run_cli({"upgrade", "a"}, made.path()).err, Catch::Contains("name the image"));
}

TEST_CASE("privileges are compared as multisets", "[cli]") {
    const ManagedClient::Privileges two{{"mount", "", {"/a", "/a", "/b"}}, {"allow-all-devices", "", {"true"}}};
    CHECK(added_privileges(two, two).empty());
    CHECK(added_privileges({}, two) == two);
    CHECK(added_privileges(two, {}).empty());
    CHECK(added_privileges({{"mount", "", {"/a"}}}, two) ==
          ManagedClient::Privileges{{"mount", "", {"/a", "/b"}}, {"allow-all-devices", "", {"true"}}});
    CHECK(added_privileges({{"device", "", {"/a"}}}, {{"mount", "", {"/a"}}, {"odd", "", {}}}).size() == 2);
    CHECK(added_privileges({{"odd", "", {}}}, {{"odd", "", {}}}).empty());
}

TEST_CASE("inspect prints docker's object for a managed plugin", "[cli]") {
    const Daemon daemon{
        {{"GET /broker/v1/plugins/v/s/json", ScriptedServer::reply(200, R"({"Name":"v/s:latest","Kind":"managed"})")},
         {"GET /plugins/v/s/json",
          ScriptedServer::reply(200, R"({"Name":"v/s:latest","Config":{"Network":{"Type":"host"}}})")},
         {"GET /plugins/only-docker/json", ScriptedServer::reply(200, R"({"Name":"o"})")}}};
    CHECK(run_cli({"inspect", "--format", "{{.Config.Network.Type}}", "v/s"}, daemon.path()).out == "host\n");
    CHECK(run_cli({"inspect", "-f", "{{.Name}}", "only-docker"}, daemon.path()).out == "o\n");
    CHECK(run_cli({"inspect", "-f", "{{.Config.}}", "v/s"}, daemon.path()).status == 2);
    CHECK(run_cli({"inspect", "-f", "{{.Con}}", "v/s"}, daemon.path()).status == 2);
}

TEST_CASE("ls shows whether a managed plugin is enabled", "[cli]") {
    const Daemon daemon{
        {{"GET /broker/v1/plugins ",
          ScriptedServer::reply(200, R"({"Plugins":[{"Name":"v/s:latest","Kind":"managed","State":"disabled",
                          "Enabled":false,"Id":"abc","Description":"d","Reference":"r"},{"Name":"l","Kind":"legacy"}]})")}}};
    CHECK_THAT(run_cli({"ls"}, daemon.path()).out, Catch::Contains("v/s:latest   managed   -            disabled   -"));
    CHECK(run_cli({"ls", "-q", "-f", "enabled=false"}, daemon.path()).out == "v/s:latest\n");
    CHECK(run_cli({"ls", "-q", "-f", "state=disabled"}, daemon.path()).out == "v/s:latest\n");
    CHECK(run_cli({"ls", "-f", "enabled=maybe"}, daemon.path()).status == 2);
    CHECK(run_cli({"ls", "-f", "kind=managed", "--format", "{{.Id}} {{.Enabled}} {{.Reference}}"}, daemon.path()).out ==
          "abc false r\n");
}

TEST_CASE("rm removes what it can", "[cli]") {
    const Daemon daemon{{{"DELETE /plugins/a", ScriptedServer::reply(200, "")}}};
    const Ran ran = run_cli({"rm", "none", "a", "-f"}, daemon.path());
    CHECK(ran.status == 1);
    CHECK(ran.out == "a\n");
    CHECK(ran.err == "pluginctl rm: page not found\n");
    CHECK(daemon.asked() == "DELETE /plugins/none?force=1\nDELETE /plugins/a?force=1\n");
    CHECK(run_cli({"remove", "a", ""}, daemon.path()).status == 2);
    CHECK(daemon.requests().size() == 2);
}

TEST_CASE("create sends a directory as a tar archive with the two members", "[cli]") {
    const Daemon daemon{{{"/plugins/create?name=v%2Fs%3Alatest", ScriptedServer::reply(204, "")}}};
    const Directory plugin;
    CHECK_THAT(run_cli({"create", "v/s", plugin.path().c_str()}, daemon.path()).err,
               Catch::Contains("has no config.json"));
    std::ofstream{plugin.file("config.json")} << "{}";
    CHECK_THAT(run_cli({"create", "v/s", plugin.path().c_str()}, daemon.path()).err, Catch::Contains("has no rootfs"));
    fs::create_directory(plugin.file("rootfs"));
    std::ofstream{plugin.file("rootfs/hello")} << "world";
    std::ofstream{plugin.file("other")} << "private";
    const Ran ran = run_cli({"create", "v/s", plugin.path().c_str()}, daemon.path());
    CHECK(ran.err.empty());
    CHECK(ran.out == "v/s\n");
    CHECK_THAT(daemon.requests().at(0), Catch::Contains("ustar") && Catch::Contains("rootfs/hello") &&
                                            Catch::Contains("world") && !Catch::Contains("private"));
    CHECK(run_cli({"create", "--compress", "v/s", plugin.path().c_str()}, daemon.path()).status == 0);
    CHECK_THAT(daemon.requests().at(1), Catch::Contains("\x1f\x8b"));

    CHECK(run_cli({"create", "v/s", plugin.file("other").c_str()}, daemon.path()).status == 0);
    CHECK_THAT(daemon.requests().at(2), Catch::EndsWith("\r\n7\r\nprivate\r\n0\r\n\r\n"));
    CHECK(run_cli({"create", "v/s", "-"}, daemon.path(), "stdin").status == 0);
    CHECK_THAT(daemon.requests().at(3), Catch::Contains("\r\nstdin\r\n"));
    CHECK(run_cli({"create", "--compress", "v/s", "-"}, daemon.path()).status == 1);
}

TEST_CASE("a directory that cannot be read whole makes no plugin", "[cli]") {
    const Daemon daemon{{{"/plugins/create", ScriptedServer::reply(204, "")}}};
    const Directory plugin;
    std::ofstream{plugin.file("config.json")} << "{}";
    // tar runs as root in some places, which reads everything: a link to nowhere as rootfs is told before it starts.
    fs::create_symlink("/nowhere/at/all", plugin.file("rootfs"));
    CHECK(run_cli({"create", "v/s", plugin.path().c_str()}, daemon.path()).status == 1);
    CHECK(daemon.requests().empty());
}

TEST_CASE("where tar fails in the middle, nobody gets the half for the whole", "[cli]") {
    const Daemon daemon{{{"/plugins/create", ScriptedServer::reply(204, "")}}};
    const Directory plugin;
    std::ofstream{plugin.file("config.json")} << "{}";
    fs::create_directory(plugin.file("rootfs"));
    std::ofstream{plugin.file("tar")} << "#!/bin/sh\nprintf half\necho 'tar: x: changed' >&2\nexit 2\n";
    fs::permissions(plugin.file("tar"), fs::perms::owner_all);
    const std::string path = ::getenv("PATH");
    ::setenv("PATH", (plugin.path() + ":" + path).c_str(), 1);
    const Ran ran = run_cli({"create", "v/s", plugin.path().c_str()}, daemon.path());
    ::setenv("PATH", path.c_str(), 1);
    CHECK(ran.status == 1);
    CHECK(ran.err == "pluginctl create: tar failed with status 2: tar: x: changed; nothing was installed\n");
    CHECK(daemon.requests().empty());
}

TEST_CASE("save writes a file that is whole or not there", "[cli]") {
    const std::string half = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + ScriptedServer::chunk("half");
    const Daemon daemon{{{"GET /broker/v1/plugins/v/s/save", half + ScriptedServer::chunk("")},
                         {"GET /broker/v1/plugins/cut/save", half}}};
    const Directory place;
    const std::string file = place.file("x.tar");
    CHECK(run_cli({"save", "-o", file.c_str(), "v/s"}, daemon.path()).status == 0);
    CHECK(content(file) == "half");
    CHECK((fs::status(file).permissions() & fs::perms::all) == (fs::perms::owner_read | fs::perms::owner_write));
    std::ofstream{file} << "old";
    CHECK(run_cli({"save", "-o", file.c_str(), "cut"}, daemon.path()).status == 125);
    CHECK(run_cli({"save", "-o", file.c_str(), "none"}, daemon.path()).status == 1);
    CHECK(content(file) == "old");
    CHECK(std::distance(fs::directory_iterator{place.path()}, {}) == 1);
    CHECK(run_cli({"save", "v/s"}, daemon.path()).out == "half");
    CHECK(run_cli({"save", "-o", "/dev/null", "v/s"}, daemon.path()).status == 0);
    CHECK_THAT(run_cli({"save", "-o", "/dev/full", "v/s"}, daemon.path()).err, Catch::Contains("No space left"));
    CHECK_THAT(run_cli({"save", "-o", "/nowhere/x", "v/s"}, daemon.path()).err, Catch::Contains("/nowhere/x"));
}

TEST_CASE("load asks for the privileges of what is in the archive, and installs it", "[cli]") {
    const auto staged = [](const std::string& reference) {
        return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
               ScriptedServer::chunk(R"({"aux":{"Digest":"sha256:1","Reference":")" + reference + R"(","Privileges":)" +
                                     kPrivileges + R"(,"Settings":["A=1"]}})" + "\n") +
               ScriptedServer::chunk("");
    };
    const auto daemon_with = [&](const std::string& reference) {
        return Daemon{{{"/broker/v1/plugins/load ", staged(reference)},
                       {"/broker/v1/plugins/install?", ScriptedServer::reply(201, R"({"Name":"n:1"})")}}};
    };
    const Directory place;
    const std::string file = place.file("x.tar");
    std::ofstream{file} << "tar";
    const Daemon daemon = daemon_with("v/s:1");
    const Ran ran = run_cli({"load", "-i", file.c_str()}, daemon.path(), "y\n");
    CHECK(ran.err.empty());
    CHECK_THAT(ran.out, Catch::StartsWith("Plugin \"v/s:1\" is requesting") && Catch::EndsWith("Loaded plugin n:1\n"));
    CHECK_THAT(daemon.asked(), Catch::EndsWith("POST /broker/v1/plugins/install?digest=sha256%3A1&name=v%2Fs%3A1\n"));
    CHECK_THAT(daemon.requests().back(), Catch::Contains(R"("Settings":["A=1"])"));
    CHECK(run_cli({"load", file.c_str()}, daemon.path(), "n\n").status == 1);
    CHECK(run_cli({"load", "--name", "x", file.c_str()}, daemon.path(), "y").status == 0);
    CHECK_THAT(daemon.asked(), Catch::EndsWith("name=x%3Alatest\n"));
    CHECK_THAT(run_cli({"load"}, daemon.path(), "tar").err, Catch::Contains("--grant-all-permissions"));
    CHECK(run_cli({"load", "--grant-all-permissions", "-"}, daemon.path(), "tar").status == 0);
    const Daemon nameless = daemon_with("");
    CHECK_THAT(run_cli({"load", file.c_str()}, nameless.path(), "y").err, Catch::Contains("--name"));
    CHECK_THAT(run_cli({"load", place.path().c_str()}, daemon.path()).err, Catch::Contains("has no oci-layout"));
}

TEST_CASE("import lists what came and what did not", "[cli]") {
    const Daemon daemon{
        {{"/broker/v1/plugins/import ",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
              ScriptedServer::chunk("{\"status\":\"Copying\",\"id\":\"a\"}\n{\"aux\":{\"Imported\":[{\"Id\":\"1\","
                                    "\"Name\":\"a\"}],\"Skipped\":[{\"Name\":\"b\",\"Reason\":\"exists\"}]}}\n") +
              ScriptedServer::chunk("")}}};
    CHECK(run_cli({"import"}, daemon.path()).out == "a: Copying\nImported plugin a\nSkipped plugin b: exists\n");
    CHECK_THAT(daemon.requests().at(0), Catch::EndsWith(R"({"Path":"/var/lib/docker/plugins"})"));
}

TEST_CASE("prune asks before", "[cli]") {
    const Daemon daemon{{{"/broker/v1/prune",
                          ScriptedServer::reply(
                              200, R"({"BlobsDeleted":["sha256:1"],"DirectoriesDeleted":[],"SpaceReclaimed":1500})")}}};
    const Ran no = run_cli({"prune"}, daemon.path(), "n\n");
    CHECK(no.status == 1);
    CHECK(daemon.requests().empty());
    CHECK(run_cli({"prune", "--force"}, daemon.path()).out ==
          "Deleted Blobs:\nsha256:1\n\nTotal reclaimed space: 1.5kB\n");
    CHECK_THAT(run_cli({"prune"}, daemon.path(), "y\n").out, Catch::StartsWith("WARNING! "));
}

TEST_CASE("push names the plugin with its tag", "[cli]") {
    const Daemon daemon{{{"/push ", kProgress}}};
    CHECK(run_cli({"push", "docker.io/v/s"}, daemon.path()).out == "a: Complete\n");
    CHECK(daemon.asked() == "POST /plugins/v/s:latest/push\n");
}

TEST_CASE("wrong arguments for managed plugins reach no daemon", "[cli]") {
    for (const std::vector<const char*>& arguments :
         std::vector<std::vector<const char*>>{{"install"},
                                               {"install", "UPPER"},
                                               {"install", "a", "novalue"},
                                               {"install", "a", "=x"},
                                               {"install", "--alias", "b@sha256:0", "a"},
                                               {"set", "a"},
                                               {"set", "", "K=V"},
                                               {"set", "a", "K"},
                                               {"upgrade"},
                                               {"rm"},
                                               {"create", "a"},
                                               {"create", "A", "/tmp"},
                                               {"push"},
                                               {"push", ""},
                                               {"save"},
                                               {"load", "a", "-i", "b"},
                                               {"load", "--name", "A", "x"},
                                               {"import", "relative"},
                                               {"prune", "x"}}) {
        CAPTURE(arguments);
        const Ran ran = run_cli(arguments, "/nowhere");
        CHECK(ran.status == 2);
        CHECK(std::count(ran.err.begin(), ran.err.end(), '\n') == 1);
    }
}

}  // namespace
}  // namespace brokerd::cli
