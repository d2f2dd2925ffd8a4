#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "common/os/unique_fd.h"
#include "daemon/shim/last_words.h"
#include "daemon/shim/runtime_failure.h"
#include "daemon/shim/shim_files.h"
#include "daemon/shim/shim_order.h"
#include "tests/unit/temporary_directory.h"

using namespace brokerd;
using brokerd::test::TemporaryDirectory;

namespace {

std::string last_of(std::initializer_list<std::string_view> lines) {
    LastWords words;
    for (const std::string_view line : lines) words.heard(line, false);
    return words.str();
}

UniqueFd open_directory(const std::string& path) {
    return UniqueFd{open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
}

ShimOrder parse(const ShimOrder& order) {
    std::vector<std::string> command = shim_command("brokerd-shim", order);
    std::vector<char*> pointers;
    for (std::string& text : command) pointers.push_back(text.data());
    const auto parsed = parse_shim_command(std::span{pointers}.subspan(1));
    REQUIRE(parsed);
    return *parsed;
}

}  // namespace

TEST_CASE("last words are the last line that says something", "[shim]") {
    CHECK(last_of({}).empty());
    CHECK(last_of({"first", "cannot open /dev/fuse  ", "", "\t"}) == "cannot open /dev/fuse");
    CHECK(last_of({"\x1b[31merror\x1b[0m: \x01no\xff"}) == "error: ?no?");
    CHECK(last_of({"panic: no config", "", "goroutine 1 [running]:", "\t/x.go:4 +0x1"}) == "panic: no config");
    const std::string cut = last_of({std::string(1000, 'x')});
    CHECK(cut.size() <= LastWords::kMaxBytes);
    CHECK(cut.ends_with("…"));
    LastWords parts;
    parts.heard("the beginning", true);
    parts.heard("the end", false);
    CHECK(parts.str() == "the beginning");
}

TEST_CASE("cleaning a line leaves UTF-8 and nothing that a terminal obeys", "[shim]") {
    CHECK(one_clean_line("grün €😀", 100) == "grün €😀");
    CHECK(one_clean_line("a\xC2\x9B"
                         "31m b\xE2\x80\xAE c\r\n",
                         100) == "a?31m b? c");
    CHECK(one_clean_line("\xC0\x80 \xED\xA0\x80 \xF4\x90\x80\x80 \xE2\x82", 100) == "?? ??? ???? ??");
    CHECK(one_clean_line("\x1b[31m error \x1b[0m\n", 100) == "error");
    for (std::size_t limit = 10; limit < 20; ++limit) {
        const std::string line = one_clean_line("ääääääääääääääääää", limit);
        CHECK(line.size() <= limit);
        CHECK(line.ends_with("…"));
    }
}

TEST_CASE("a program that cannot be executed is explained", "[shim]") {
    CHECK(last_of({"exec /sshfs: exec format error"}) ==
          "its program /sshfs is for another architecture than this host's, or is no program at all (exec /sshfs: exec "
          "format error)");
    CHECK(last_of({"exec /run.sh: no such file or directory"}) ==
          "its program /run.sh needs an interpreter or loader that is not in its rootfs (exec /run.sh: no such file or "
          "directory)");
}

TEST_CASE("a runtime's failure is told with its cause and its words", "[shim]") {
    const std::string_view start = R"({"level":"info","msg":"x"})"
                                   "\n";
    const auto failure = [&](std::string_view message) {
        return runtime_failure("runc",
                               std::string{start} + R"({"level":"error","msg":")" + std::string{message} + "\"}\n", "",
                               "exited with status 1");
    };
    CHECK(
        failure(
            R"(runc run failed: unable to start container process: exec: \"/x\": stat /x: no such file or directory)") ==
        R"(its entrypoint /x is not in its rootfs (runc: exec: "/x": stat /x: no such file or directory))");
    CHECK(failure(R"(runc run failed: unable to start container process: exec: \"/x\": permission denied)")
              .starts_with("its entrypoint /x is not an executable file (runc: "));
    CHECK(failure("runc run failed: mounting \\\"/a\\\": \\u001b[31mno such device") ==
          "runc could not start it: mounting \"/a\": no such device");
    CHECK(runtime_failure("crun",
                          R"({"msg":"executable file `/x` not found: No such file or directory","level":"error"})", "",
                          "") ==
          "its entrypoint /x is not in its rootfs (crun: executable file `/x` not found: No such file or directory)");
    CHECK(runtime_failure("runc", "garbage\n{}\n[1]\n", "one\nno config\n\n", "") ==
          "runc could not start it: no config");
    CHECK(runtime_failure("runc", "", "\n", "was killed by signal 9") ==
          "runc could not start it: it was killed by signal 9 and said nothing");
    CHECK(failure(std::string(100'000, 'x')).size() < 1100);
}

TEST_CASE("the files of a bundle are read as they were written", "[shim]") {
    const TemporaryDirectory directory;
    const UniqueFd bundle = open_directory(directory.path());
    REQUIRE(read_running(bundle.get()));
    CHECK_FALSE(*read_running(bundle.get()));
    CHECK_FALSE(*read_exit(bundle.get()));
    const auto now = std::chrono::system_clock::now();
    REQUIRE(write_bundle_file(bundle.get(), bundle_files::kRunning, to_json(ShimRunning{{7, 8}, {9, 10}, now})));
    const auto running = read_running(bundle.get());
    REQUIRE((running && *running));
    CHECK((*running)->plugin == ProcessIdentity{7, 8});
    CHECK((*running)->shim == ProcessIdentity{9, 10});
    CHECK((*running)->started == now);
    for (const auto kind : {ShimExit::Kind::exited, ShimExit::Kind::killed, ShimExit::Kind::unknown}) {
        REQUIRE(write_bundle_file(bundle.get(), bundle_files::kExit,
                                  to_json(ShimExit{kind, 9, true, "so \"long\" ä", now})));
        const auto exit = read_exit(bundle.get());
        REQUIRE((exit && *exit));
        CHECK((*exit)->kind == kind);
        CHECK((*exit)->status == 9);
        CHECK((*exit)->out_of_memory);
        CHECK((*exit)->last_words == "so \"long\" ä");
        CHECK((*exit)->at == now);
    }
    struct stat what {};
    REQUIRE(stat((directory / "exit").c_str(), &what) == 0);
    CHECK((what.st_mode & 07777U) == 0600);
}

TEST_CASE("a damaged or hostile file of a bundle is an error", "[shim]") {
    const TemporaryDirectory directory;
    const UniqueFd bundle = open_directory(directory.path());
    for (const std::string text : {"", "{", "[]", "{}", R"({"Pid":0,"PidStart":1,"ShimPid":2,"ShimStart":3})",
                                   R"({"Pid":-1,"PidStart":1,"ShimPid":2,"ShimStart":3})",
                                   R"({"Pid":1e3,"PidStart":1,"ShimPid":2,"ShimStart":3})",
                                   R"({"Pid":"1","PidStart":1,"ShimPid":2,"ShimStart":3})", R"({"Kind":"odd"})"}) {
        test::write_file(directory / "running", text);
        test::write_file(directory / "exit", text);
        CHECK_FALSE(read_running(bundle.get()));
        CHECK_FALSE(read_exit(bundle.get()));
        CHECK_FALSE(parse_shim_report(text));
    }
    test::write_file(directory / "exit", "{\"x\":\"" + std::string(kMaxShimText, 'x') + "\"}");
    CHECK_FALSE(read_exit(bundle.get()));
    REQUIRE(unlink((directory / "exit").c_str()) == 0);
    REQUIRE(mkfifo((directory / "exit").c_str(), 0600) == 0);
    CHECK_FALSE(read_exit(bundle.get()));
    REQUIRE(unlink((directory / "exit").c_str()) == 0);
    REQUIRE(symlink("/proc/self/stat", (directory / "exit").c_str()) == 0);
    CHECK_FALSE(read_exit(bundle.get()));
}

TEST_CASE("a report says what runs or why nothing does", "[shim]") {
    const auto good = parse_shim_report(to_json(ShimReport{{5, 6}, {}}) + "\n");
    REQUIRE(good);
    CHECK(good->plugin == ProcessIdentity{5, 6});
    CHECK(good->error.empty());
    const auto bad = parse_shim_report(to_json(ShimReport{{}, "no \"runc\" here"}));
    REQUIRE(bad);
    CHECK(bad->error == "no \"runc\" here");
}

TEST_CASE("a shim's command line says what it was told", "[shim]") {
    const ShimOrder order{
        "abc", "vieux/sshfs:latest",       "/usr/sbin/runc", "/run/b/runtime-state", "/run/b/bundles/abc",
        true,  "/var/lib/brokerd/logs/abc"};
    const ShimOrder same = parse(order);
    CHECK((same.id == order.id && same.name == order.name && same.runtime == order.runtime));
    CHECK((same.runtime_root == order.runtime_root && same.bundle == order.bundle && same.systemd_cgroup));
    CHECK(same.log_directory == order.log_directory);
    CHECK(parse({"abc", "n", "runc", "/r", "/b", false, ""}).log_directory.empty());
    char odd[] = "--odd";
    char* const arguments[] = {odd};
    CHECK_FALSE(parse_shim_command(arguments));
    CHECK_FALSE(parse_shim_command({}));
}

TEST_CASE("a process is known by its number and its start", "[shim]") {
    const auto self = process_identity(getpid());
    REQUIRE(self);
    CHECK(self->start > 0);
    CHECK(*process_identity(getpid()) == *self);
    CHECK_FALSE(process_identity(1 << 30));
}
