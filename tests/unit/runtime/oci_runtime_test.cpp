#include "daemon/runtime/oci_runtime.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "daemon/runtime/command.h"
#include "tests/unit/temporary_directory.h"

using namespace brokerd;
using namespace brokerd::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// A runtime that is a shell script.
class FakeRuntime {
public:
    explicit FakeRuntime(const std::string& script) {
        test::write_file(path(), "#!/bin/sh\n" + script);
        fs::permissions(path(), fs::perms::owner_all);
    }
    [[nodiscard]] std::string path() const { return directory_ / "fake runtime"; }
    [[nodiscard]] OciRuntime runtime(std::chrono::milliseconds deadline = 30s) const {
        return {path(), directory_ / "state", false, cancellation, deadline};
    }

    Cancellation cancellation;

private:
    TemporaryDirectory directory_;
};

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a runtime that is missing is one clear error", "[runtime]") {
    const Cancellation never;
    const OciRuntime by_name{"no-such-runtime", "/none", false, never};
    REQUIRE_FALSE(by_name.path());
    CHECK(by_name.path().error().message ==
          "no OCI runtime: no-such-runtime is not installed; install it or set --oci-runtime");
    CHECK_FALSE(by_name.probe());
    CHECK_FALSE(by_name.remove("x"));
    const OciRuntime by_path{"/none/runc", "/none", false, never};
    CHECK(by_path.probe().error().message ==
          "no OCI runtime: /none/runc is not a program that can be run; install it or set --oci-runtime");
}

TEST_CASE("a runtime says what it is", "[runtime]") {
    const FakeRuntime fake{R"(case $1 in
--version) printf 'runc version 1.2.3+ds1\ncommit: x\nspec: 1.0.2\n' ;;
features) echo '{"annotations":{"io.github.seccomp.libseccomp.version":"2.5.4","n":1}}' ;;
esac)"};
    const auto version = fake.runtime().probe();
    REQUIRE(version);
    CHECK(version->str() == "runc 1.2.3+ds1");
    CHECK(version->spec == "1.0.2");
    CHECK(version->has_features);
    CHECK(version->annotations == std::vector<std::string>{"io.github.seccomp.libseccomp.version=2.5.4"});
}

TEST_CASE("a runtime that says nothing of use is taken as it is", "[runtime]") {
    const FakeRuntime fake{"[ $1 = --version ] || exit 1; head -c 300000 /dev/urandom"};
    const auto version = fake.runtime().probe();
    REQUIRE(version);
    CHECK_FALSE(version->has_features);
    CHECK_FALSE(contains(version->str(), "\n"));
}

TEST_CASE("a runtime's own words are in its error, one line, cleaned", "[runtime]") {
    const FakeRuntime fake{R"(echo first >&2
printf 'time="x" level=error msg="container \033[31mdoes not like it"\n\n' >&2
exit 4)"};
    const auto removed = fake.runtime().remove("x");
    REQUIRE_FALSE(removed);
    CHECK(removed.error().message == fake.path() + ": container  [31mdoes not like it");
    CHECK(last_words(R"({"level":"error","msg":"exec: \"x\": not found"})") == "exec: \"x\": not found");
    CHECK(last_words("\n\n \n").empty());
    CHECK(last_words(std::string(100'000, 'x')).size() <= 400);
    const FakeRuntime silent{"exit 7"};
    CHECK(silent.runtime().remove("x").error().message == silent.path() + ": ended with status 7");
    const FakeRuntime killed{"kill -9 $$"};
    CHECK(killed.runtime().remove("x").error().message == killed.path() + ": was killed by signal 9");
}

TEST_CASE("a container's state is read; one that is not known has none", "[runtime]") {
    const FakeRuntime knows{R"(echo '{"id":"x","status":"stopped"}')"};
    CHECK(*knows.runtime().state("x") == "stopped");
    const FakeRuntime unknown{"echo container does not exist >&2; exit 1"};
    CHECK(unknown.runtime().state("x")->empty());
    const FakeRuntime garbage{"echo '{{{'"};
    CHECK_FALSE(garbage.runtime().state("x"));
    const FakeRuntime other{"echo oh no >&2; exit 1"};
    CHECK(other.runtime().state("x").error().message == other.path() + ": oh no");
}

TEST_CASE("a runtime that hangs is killed with what it has started", "[runtime]") {
    const FakeRuntime fake{"sleep 600 & echo $! >$0.pid; wait"};
    const auto removed = fake.runtime(300ms).remove("x");
    REQUIRE_FALSE(removed);
    CHECK(removed.error().message == fake.path() + " did not end in time and was killed");
}

TEST_CASE("a runtime whose child holds its output is not waited for", "[runtime]") {
    const FakeRuntime fake{"sleep 5 & exit 0"};
    CHECK(fake.runtime().remove("x"));
}

TEST_CASE("a command is given up when brokerd stops", "[runtime]") {
    const FakeRuntime fake{"sleep 600"};
    fake.cancellation.cancel();
    const auto removed = fake.runtime().remove("x");
    REQUIRE_FALSE(removed);
    CHECK(contains(removed.error().message, "because brokerd stops"));
}

TEST_CASE("more output than anybody needs is thrown away", "[runtime]") {
    const Cancellation never;
    const auto outcome = run_command(
        {"/bin/sh", "-c", "head -c 3000000 /dev/zero; head -c 100000 /dev/zero >&2; echo >&2; echo end >&2"}, 60s,
        never);
    REQUIRE(outcome);
    CHECK(outcome->succeeded());
    CHECK(outcome->output.size() == kMaxCommandOutput);
    CHECK(outcome->errors.size() == kMaxCommandErrors);
    CHECK(last_words(outcome->errors).ends_with("end"));
}

TEST_CASE("a command has an environment of its own and no descriptors", "[runtime]") {
    const Cancellation never;
    setenv("NOTIFY_SOCKET", "/nowhere", 1);
    const auto outcome = run_command({"/bin/sh", "-c", "env | grep -c NOTIFY; ls /proc/self/fd | wc -l"}, 60s, never);
    unsetenv("NOTIFY_SOCKET");
    REQUIRE(outcome);
    CHECK(outcome->output == "0\n4\n");  // three, and the directory that ls reads
}
