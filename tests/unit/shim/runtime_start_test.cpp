#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>

#include "common/os/unique_fd.h"
#include "daemon/shim/child_signals.h"
#include "daemon/shim/plugin_watch.h"
#include "daemon/shim/runtime_start.h"
#include "tests/unit/no_more_descriptors.h"
#include "tests/unit/temporary_directory.h"

using namespace brokerd;
using namespace std::chrono_literals;
using brokerd::test::TemporaryDirectory;

namespace {

/// A shim's place with a script for an OCI runtime. In it, $pid_file and $log are what the shim gave, and `detach`
/// starts its arguments as the plugin, as `runc run --detach` does.
struct Fixture {
    explicit Fixture(std::string_view script) {
        REQUIRE(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
        notice_children();
        test::write_file(directory / "runtime",
                         "#!/bin/sh\nlog=$4 pid_file=${12}\ndetach() {\n"
                         // A shell that still ran would take its child's end for its own affair.
                         "sh -c 'while [ -d /proc/$0 ]; do :; done; exec \"$@\"' $$ \"$@\" & echo $! >$pid_file; }\n" +
                             std::string{script} + '\n');
        REQUIRE(chmod((directory / "runtime").c_str(), 0755) == 0);
    }

    [[nodiscard]] Result<StartedPlugin> start(std::chrono::milliseconds limit = 60s) const {
        return start_plugin({"id", "name", directory / "runtime", directory / "state", directory.path(), false, ""},
                            bundle.get(), limit);
    }
    /// What `start` fails with.
    [[nodiscard]] std::string error(std::chrono::milliseconds limit = 60s) const {
        const auto started = start(limit);
        REQUIRE_FALSE(started);
        return started.error().message;
    }

    TemporaryDirectory directory;
    UniqueFd bundle{open(directory.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
};

class Kept final : public LogOutput {
public:
    [[nodiscard]] bool write(const LogRecord& record) override {
        text += std::string{to_text(record.source)} + ':' + std::string{record.message} + '\n';
        return true;
    }
    std::string text;
};

}  // namespace

TEST_CASE("a started plugin is followed to its end", "[shim]") {
    const Fixture f{"detach sh -c 'echo out; echo words >&2; exit 3'"};
    auto plugin = f.start();
    REQUIRE(plugin);
    CHECK(process_identity(plugin->process.pid) == plugin->process);
    Kept output;
    const ShimExit exit = PluginWatch{*std::move(plugin), output, ""}.wait();
    CHECK((exit.kind == ShimExit::Kind::exited && exit.status == 3));
    CHECK(exit.last_words == "words");
    CHECK(output.text.find("stdout:out\n") != std::string::npos);
    CHECK(output.text.find("stderr:words\n") != std::string::npos);
}

TEST_CASE("a plugin's signal is told, and other processes are reaped", "[shim]") {
    const Fixture f{"detach sh -c '(true; exec sleep 0) & kill -SEGV $$'"};
    auto plugin = f.start();
    REQUIRE(plugin);
    Kept output;
    const ShimExit exit = PluginWatch{*std::move(plugin), output, ""}.wait();
    CHECK((exit.kind == ShimExit::Kind::killed && exit.status == SIGSEGV));
}

TEST_CASE("a plugin's end is noticed also where no descriptor is left", "[shim]") {
    const Fixture f{R"(detach sh -c "read it <$2/input; exit 3")"};
    REQUIRE(mkdir((f.directory / "state").c_str(), 0700) == 0);
    REQUIRE(mkfifo((f.directory / "state/input").c_str(), 0600) == 0);
    const UniqueFd input{open((f.directory / "state/input").c_str(), O_RDWR | O_CLOEXEC)};
    auto plugin = f.start();
    REQUIRE(plugin);
    Kept output;
    const test::NoMoreDescriptors none;
    PluginWatch watch{*std::move(plugin), output, ""};
    REQUIRE(write(input.get(), "\n", 1) == 1);
    const ShimExit exit = watch.wait();
    CHECK((exit.kind == ShimExit::Kind::exited && exit.status == 3));
}

TEST_CASE("a process that holds the streams does not keep the end from being told", "[shim]") {
    const Fixture f{"detach sh -c 'sleep 1000 & echo $! >&2; exit 0'"};
    auto plugin = f.start();
    REQUIRE(plugin);
    Kept output;
    const ShimExit exit = PluginWatch{*std::move(plugin), output, ""}.wait();
    CHECK(exit.kind == ShimExit::Kind::exited);
    REQUIRE(::kill(static_cast<pid_t>(std::stol(exit.last_words)), SIGKILL) == 0);
}

TEST_CASE("a runtime that hangs is killed, and what it started", "[shim]") {
    const Fixture f{"detach sleep 1000; exec sleep 1000"};
    CHECK(f.error(200ms) == "runtime did not start it within 0 s and was killed");
    const UniqueFd pid{open((f.directory / "pid").c_str(), O_RDONLY | O_CLOEXEC)};
    char text[16]{};
    if (pid && read(pid.get(), text, sizeof text - 1) > 0) {
        // It is no child of this one until its parent has ended, which is under way.
        const auto plugin = static_cast<pid_t>(std::stol(text));
        ::kill(plugin, SIGKILL);
    }
}

TEST_CASE("what a runtime does wrong is told", "[shim]") {
    CHECK(Fixture{"exit 0"}.error().find("does not tell its process") != std::string::npos);
    CHECK(Fixture{"echo 1 >$pid_file"}.error().find("does not tell its process") != std::string::npos);
    CHECK(Fixture{"echo garbage >$pid_file"}.error().find("does not tell its process") != std::string::npos);
    CHECK(Fixture{"echo bad option >&2; exit 1"}.error() == "runtime could not start it: bad option");
    CHECK(Fixture{R"(echo '{"level":"error","msg":"no cgroup"}' >$log; exit 1)"}.error() ==
          "runtime could not start it: no cgroup");
    CHECK(Fixture{"exit 9"}.error() == "runtime could not start it: it exited with status 9 and said nothing");
    CHECK(Fixture{"kill -KILL $$"}.error() == "runtime could not start it: it was killed by signal 9 and said nothing");
}

TEST_CASE("a runtime gets nothing of its parent's environment but what it needs", "[shim]") {
    REQUIRE(setenv("NOTIFY_SOCKET", "/run/x", 1) == 0);
    CHECK(Fixture{"echo \"[$NOTIFY_SOCKET]\" >&2; exit 1"}.error() == "runtime could not start it: []");
    REQUIRE(unsetenv("NOTIFY_SOCKET") == 0);
}
