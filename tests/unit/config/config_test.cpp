#include "daemon/config/config.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <tuple>

#include "daemon/config/config_changes.h"
#include "tests/unit/loop/loop_fixture.h"

using namespace brokerd;
using test::TemporaryDirectory;

namespace {

std::variant<Config, EarlyExit> load(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), {"brokerd", "--config", "/dev/null"});
    return load_config(static_cast<int>(arguments.size()), arguments.data());
}

std::variant<Config, EarlyExit> load_file(const std::string& text, std::vector<const char*> arguments = {}) {
    const TemporaryDirectory directory;
    const std::string file = directory.path() + "/brokerd.conf";
    std::ofstream{file} << text;
    arguments.insert(arguments.begin(), {"brokerd", "--config", file.c_str()});
    return load_config(static_cast<int>(arguments.size()), arguments.data());
}

}  // namespace

TEST_CASE("without flags the documented paths hold", "[config]") {
    const auto config = std::get<Config>(load({}));
    CHECK(config.control_socket == "/run/brokerd/control.sock");
    CHECK(config.engine_socket_dir == "/run/docker/plugins");
    CHECK(config.spec_dirs == std::vector<std::string>{"/etc/docker/plugins", "/usr/lib/docker/plugins"});
    CHECK(config.activation_timeout == std::chrono::seconds{30});
    CHECK_FALSE(config.lazy_activation);
    CHECK(config.max_connections == 4096);
    CHECK(config.request_timeout == std::chrono::seconds{30});
    CHECK(config.unread_timeout == std::chrono::seconds{600});
    CHECK(config.answer_timeouts.general == std::chrono::seconds{120});
}

TEST_CASE("flags replace the defaults", "[config]") {
    const auto config = std::get<Config>(load({"--spec-dir", "/a", "--spec-dir", "/b", "--activation", "lazy",
                                               "--log-level", "debug", "--proxy-threads", "3"}));
    CHECK(config.spec_dirs == std::vector<std::string>{"/a", "/b"});
    CHECK(config.lazy_activation);
    CHECK(config.log_level == Config::LogDetail::debug);
    CHECK(config.proxy_threads == 3);
}

TEST_CASE("a config file names the flags without dashes, and the command line wins", "[config]") {
    const TemporaryDirectory directory;
    const std::string file = directory.path() + "/brokerd.conf";
    std::ofstream{file} << "# comment\ncontrol-socket = /x/c.sock\nactivation-timeout = 5\nspec-dir = [\"/a\", "
                           "\"/b\"]\nallow-unsafe-files = true\n";
    const char* arguments[] = {"brokerd", "--config", file.c_str(), "--activation-timeout", "7"};
    const auto config = std::get<Config>(load_config(5, arguments));
    CHECK(config.control_socket == "/x/c.sock");
    CHECK(config.activation_timeout == std::chrono::seconds{7});
    CHECK(config.spec_dirs == std::vector<std::string>{"/a", "/b"});
    CHECK(config.allow_unsafe_files);
}

TEST_CASE("what may be repeated may stand anywhere in the file", "[config]") {
    const auto config =
        std::get<Config>(load_file("answer-timeout = 60\nmax-connections = 5\n\n# slow servers\n"
                                   "answer-timeout = sshfs=30\nrequest-timeout = 3\n"
                                   "answer-timeout = \"vieux/sshfs:latest/VolumeDriver.Mount = 0.5\"\n"));
    CHECK(config.answer_timeouts.general == std::chrono::seconds{60});
    CHECK(config.answer_timeouts.plugins.at("sshfs").general == std::chrono::seconds{30});
    CHECK(config.answer_timeouts.plugins.at("vieux/sshfs:latest").methods.at("VolumeDriver.Mount") ==
          std::chrono::milliseconds{500});
    CHECK(config.max_connections == 5);
    CHECK(config.request_timeout == std::chrono::seconds{3});
}

TEST_CASE("what may be repeated comes either from the file or from the command line", "[config]") {
    const auto config = std::get<Config>(load_file("answer-timeout = 60\nanswer-timeout = sshfs=30\n",
                                                   {"--answer-timeout", "a=1", "--answer-timeout", "b=2"}));
    CHECK(config.answer_timeouts.general == std::chrono::seconds{120});
    CHECK(config.answer_timeouts.plugins.size() == 2);
}

TEST_CASE("what the file says and brokerd does not know is a mistake with the file's name", "[config]") {
    for (const std::string text :
         {"answer-timeut = 3\n", "[answer-timeout]\nsshfs = 3\n", "a.b = 3\n", "nonsense\n", "check-config = true\n"}) {
        const auto loaded = load_file(text);
        INFO(text);
        REQUIRE(std::holds_alternative<EarlyExit>(loaded));
        CHECK(std::get<EarlyExit>(loaded).status == 78);
        CHECK(std::get<EarlyExit>(loaded).text.find("brokerd.conf:1: ") != std::string::npos);
    }
}

TEST_CASE("what may be said once cannot be said twice", "[config]") {
    CHECK(std::holds_alternative<EarlyExit>(load_file("proxy-threads = 1\nproxy-threads = 2\n")));
    CHECK(std::holds_alternative<EarlyExit>(load_file("proxy-threads = 1\nrequest-timeout = 3\nproxy-threads = 2\n")));
}

TEST_CASE("a mistake is one sentence and status 2", "[config]") {
    for (const std::vector<const char*>& mistake :
         std::vector<std::vector<const char*>>{{"--nonsense"},
                                               {"--control-socket", "relative"},
                                               {"--proxy-threads", "0"},
                                               {"--activation-timeout", "x"},
                                               {"--log-level", "loud"},
                                               {"--max-connections", "0"},
                                               {"--max-connections", "1000001"},
                                               {"--max-connections", "1.5"},
                                               {"--request-timeout", "-1"},
                                               {"--unread-timeout", "86401"},
                                               {"--answer-timeout", "sshfs"},
                                               {"--answer-timeout"},
                                               {"stray"}}) {
        const auto loaded = load(mistake);
        REQUIRE(std::holds_alternative<EarlyExit>(loaded));
        CHECK(std::get<EarlyExit>(loaded).status == 2);
        CHECK(std::get<EarlyExit>(loaded).text.starts_with("brokerd: "));
    }
}

TEST_CASE("help and version are printed with status 0", "[config]") {
    CHECK(std::get<EarlyExit>(load({"--help"})).text.find("--spec-dir") != std::string::npos);
    CHECK(std::get<EarlyExit>(load({"--version"})).text.starts_with("brokerd "));
    CHECK(std::get<EarlyExit>(load({"--help"})).status == 0);
}

TEST_CASE("help and errors name the choices as they are written", "[config]") {
    const std::string help = std::get<EarlyExit>(load({"--help"})).text;
    for (const char* choices : {"{eager,lazy}=eager", "{error,warning,info,debug}=info", "plugins.json"}) {
        CHECK_THAT(help, Catch::Contains(choices));
    }
    CHECK(std::all_of(help.begin(), help.end(), [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); }));
    const auto refused = std::get<EarlyExit>(load({"--log-level", "loud"}));
    CHECK(refused.status == 2);
    CHECK_THAT(refused.text, Catch::Contains("{error,warning,info,debug}"));
}

TEST_CASE("settings can be checked without a start", "[config]") {
    const auto check = [](const std::string& text) { return std::get<EarlyExit>(load_file(text, {"--check-config"})); };
    CHECK(check("log-level = debug\n").status == 0);
    CHECK(check("log-level = loud\n").status == 78);
    CHECK(check("answer-timeout = x\n").status == 78);
    const char* missing[] = {"brokerd", "--config", "/nonexistent/brokerd.conf", "--check-config"};
    CHECK(std::get<EarlyExit>(load_config(4, missing)).status == 78);
    CHECK(std::get<EarlyExit>(load_file("", {"--check-config", "--log-level", "loud"})).status == 2);
}

TEST_CASE("yes and no have their words", "[config]") {
    for (const char* word : {"true", "yes", "on", "1", "True"})
        CHECK(std::get<Config>(load_file(std::string{"restart-unhealthy = "} + word + "\n")).restart_unhealthy);
    for (const char* word : {"false", "no", "off", "0", "FALSE"})
        CHECK_FALSE(std::get<Config>(load_file(std::string{"live-restore = "} + word + "\n")).live_restore);
    CHECK(std::get<Config>(load_file("allow-unsafe-files = true\n")).allow_unsafe_files);
    CHECK(std::get<Config>(load({"--allow-unsafe-files"})).allow_unsafe_files);
}

TEST_CASE("a mistake in the file is told with its line", "[config]") {
    const std::vector<std::tuple<std::string, int, std::string>> mistakes{
        {"# fine\n\nproxy-threads = 0\n", 3, "--proxy-threads"},
        {"activation-timeout = 5\nactivation = sometimes\n", 2, "sometimes"},
        {"spec-dir = /a\n# x\nspec-dir = relative\n", 3, "relative is not an absolute path"},
        {"spec-dir = a\x1b[31m\n", 1, "a\\x1b[31m is not an absolute path"},
        {"spec-dir = [\n\"/a\",\n\"b\"]\n", 1, "b is not an absolute path"},
        {"spec-dir = [\n\"/a\",\n", 1, "has no end"},
        {"spec-dir = [ # two\n\"/a\", # one\n\"/b\"]\nnonsense = 1\n", 4, "nonsense"},
        {"proxy-threads = 1\nrequest-timeout = 3\nproxy-threads = 2\n", 3, "--proxy-threads"},
        {"answer-timeout = 60\nanswer-timeout = a=1\nanswer-timeout = b=x\n", 3, "b=x"},
        {"answer-timeout = 60\n\nanswer-timeout = 70\n", 3, "70"},
        {"log-level = \x9f\x1b[m\n", 1, "--log-level: \\x9f\\x1b[m not in"},
        {"log-level = " + std::string(5000, 'x') + "\n", 1, "xxx..."},
        {"live-restore = true\nhealth-interval = often\n", 2, "often"},
        {"log-level = info\nlive-restore = 7\n", 2, "\"7\" is neither true nor false"},
        {"restart-unhealthy = maybe\n", 1, "maybe"},
        {"allow-unsafe-files = 7\n", 1, "neither true nor false"},
        {"\nallow-unsafe-files = true\nallow-unsafe-files = true\n", 2, "too many inputs"},
        {"answer-timeut = 3\n", 1, "answer-timeut"},
        {"\n[x]\n", 2, "[x]"},
        {"a\n", 1, "\"a\" is not a setting"},
        {"; fine\nactivation = lazy\nactivation-timeout = never\n", 3, "--activation-timeout"},
        {"group =\n", 1, "--group: it is empty"},
        {"spec-dir = relative\nspec-dir = /b\n", 1, "relative is not an absolute path"},
        {"spec-dir = [\"/a\",\n\"/b\"]\nanswer-timeout = x\n", 3, "x"},
    };
    for (const auto& [text, line, what] : mistakes) {
        const auto loaded = load_file(text);
        INFO(text);
        REQUIRE(std::holds_alternative<EarlyExit>(loaded));
        const EarlyExit& refused = std::get<EarlyExit>(loaded);
        CHECK_THAT(refused.reason, Catch::Contains("/brokerd.conf:" + std::to_string(line) + ": "));
        CHECK_THAT(refused.reason, Catch::Contains(what));
        CHECK(refused.text.starts_with("brokerd: " + refused.reason));
        CHECK(refused.status == 78);
    }
}

TEST_CASE("what is read again owes nothing to what was read before", "[config]") {
    const TemporaryDirectory directory;
    const std::string file = directory.path() + "/brokerd.conf";
    const char* const arguments[] = {"brokerd", "--config", file.c_str()};
    const auto text = [&](const char* settings) { std::ofstream{file} << settings; };
    ConfigReader reader;
    text("spec-dir = /a\nactivation = lazy\nrequest-timeout = 3\nallow-unsafe-files = true\nproxy-threads = 0\n");
    CHECK(std::holds_alternative<EarlyExit>(reader.load(3, arguments)));
    text("spec-dir = /a\nactivation = lazy\nrequest-timeout = 3\nallow-unsafe-files = true\nproxy-threads = 1\n");
    CHECK(std::get<Config>(reader.load(3, arguments)).spec_dirs == std::vector<std::string>{"/a"});
    text("");
    const auto config = std::get<Config>(reader.load(3, arguments));
    CHECK(config.spec_dirs == Config{}.spec_dirs);
    CHECK_FALSE(config.lazy_activation);
    CHECK(config.request_timeout == Config{}.request_timeout);
    CHECK_FALSE(config.allow_unsafe_files);
}

TEST_CASE("a file that others have a say in is refused", "[config]") {
    const TemporaryDirectory directory;
    const std::string file = directory / "brokerd.conf";
    const auto reason = [&] {
        const char* arguments[] = {"brokerd", "--config", file.c_str()};
        const auto loaded = load_config(3, arguments);
        return std::holds_alternative<EarlyExit>(loaded) ? std::get<EarlyExit>(loaded).reason : std::string{"accepted"};
    };
    std::ofstream{file} << "log-level = info\n";
    CHECK(reason() == "accepted");
    SECTION("the file") {
        std::filesystem::permissions(file, std::filesystem::perms::others_write, std::filesystem::perm_options::add);
        CHECK_THAT(reason(), Catch::Contains("can be written by others than its owner"));
    }
    SECTION("its directory") {
        std::filesystem::permissions(directory.path(), std::filesystem::perms::all);
        CHECK_THAT(reason(), Catch::Contains(file + " cannot be believed: "));
    }
    SECTION("its owner") {
        if (::chown(file.c_str(), 65534, 65534) != 0) return;  // only root can
        CHECK_THAT(reason(), Catch::Contains("belongs to user 65534, not to root"));
    }
}

TEST_CASE("a mistake on the command line has no line of the file", "[config]") {
    const auto loaded = load_file("proxy-threads = 2\nanswer-timeout = 3\n", {"--proxy-threads", "0"});
    CHECK(std::get<EarlyExit>(loaded).reason.find("brokerd.conf") == std::string::npos);
    for (const std::vector<const char*>& wrong :
         {std::vector<const char*>{"--answer-timeout", "y"}, {"--answer-timeout=y"}}) {
        const auto timeouts = load_file("answer-timeout = x\n", wrong);
        CHECK(std::get<EarlyExit>(timeouts).reason.find("brokerd.conf") == std::string::npos);
    }
}

TEST_CASE("what can change while brokerd runs is taken over, the rest is named", "[config]") {
    Config in_force;
    in_force.proxy_threads = 2;
    Config next = in_force;
    CHECK(take_over(in_force, next).taken.empty());
    next.proxy_threads = 3;
    next.log_level = Config::LogDetail::debug;
    next.answer_timeouts = *AnswerTimeouts::parse({"sshfs/VolumeDriver.Mount=3"});
    for (int i = 0; i < 2; ++i) {
        const ConfigChanges changes = take_over(in_force, next);
        CHECK(changes.need_restart == std::vector<std::string_view>{"proxy-threads"});
        CHECK(changes.taken == (i == 0 ? std::vector<std::string_view>{"answer-timeout", "log-level"}
                                       : std::vector<std::string_view>{}));
        CHECK(in_force.proxy_threads == 2);
        CHECK(in_force.log_level == Config::LogDetail::debug);
        CHECK(in_force.answer_timeouts == next.answer_timeouts);
    }
}

TEST_CASE("every flag is a setting that a reload knows of", "[config]") {
    const std::string help = std::get<EarlyExit>(load({"--help"})).text;
    std::vector<std::string> flags;
    for (std::size_t at = help.find("\n  --"); at != std::string::npos; at = help.find("\n  --", at + 1)) {
        const std::size_t begin = at + 5;
        flags.push_back(help.substr(begin, help.find_first_of(" \n=", begin) - begin));
    }
    std::erase_if(
        flags, [](const std::string& flag) { return flag == "version" || flag == "config" || flag == "check-config"; });
    const auto names = setting_names();
    CHECK(flags == std::vector<std::string>(names.begin(), names.end()));
}
