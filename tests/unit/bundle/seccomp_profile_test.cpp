#include "daemon/bundle/seccomp_profile.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <stdexcept>

#include "tests/unit/temporary_directory.h"

using namespace brokerd;
using namespace brokerd::test;

namespace {

SeccompProfile profile_of(const std::string& members) {
    auto profile = SeccompProfile::parse(R"({"defaultAction":"SCMP_ACT_ERRNO",)" + members + "}", "/p.json");
    if (!profile) throw std::runtime_error{profile.error().message};
    return *std::move(profile);
}

std::string resolved(const SeccompProfile& profile, const SeccompFacts& facts) {
    return json_text([&](JsonWriter& writer) { profile.write(writer, facts); });
}

std::string error_of(const std::string& text) {
    const auto profile = SeccompProfile::parse(text, "/p.json");
    return profile ? "no error" : profile.error().message;
}

/// One rule of this system call, with these members.
std::string rule(const std::string& name, const std::string& members = "") {
    return R"({"names":[")" + name + R"("],"action":"SCMP_ACT_ALLOW")" + (members.empty() ? "" : "," + members) + "}";
}

/// Whether the rule with this condition holds.
bool holds(const std::string& condition, const SeccompFacts& facts) {
    const auto profile = profile_of(R"("syscalls":[)" + rule("one", condition) + "]");
    return resolved(profile, facts).find("\"one\"") != std::string::npos;
}

const SeccompFacts kPlain{{"CAP_CHOWN", "CAP_KILL"}, "amd64", {6, 1}};

}  // namespace

TEST_CASE("rules hold by capability, architecture and kernel", "[bundle]") {
    CHECK(holds("", kPlain));
    CHECK(holds(R"("includes":{},"excludes":{})", kPlain));
    CHECK(holds(R"("includes":null)", kPlain));
    CHECK(holds(R"("includes":{"caps":["CAP_CHOWN","CAP_KILL"]})", kPlain));
    CHECK_FALSE(holds(R"("includes":{"caps":["CAP_CHOWN","CAP_SYS_ADMIN"]})", kPlain));
    CHECK_FALSE(holds(R"("excludes":{"caps":["CAP_SYS_ADMIN","CAP_KILL"]})", kPlain));
    CHECK(holds(R"("excludes":{"caps":["CAP_SYS_ADMIN"]})", kPlain));
    CHECK(holds(R"("includes":{"arches":["x32","amd64"]})", kPlain));
    CHECK_FALSE(holds(R"("includes":{"arches":["arm64"]})", kPlain));
    CHECK_FALSE(holds(R"("excludes":{"arches":["amd64"]})", kPlain));
    CHECK(holds(R"("includes":{"minKernel":"4.8"})", kPlain));
    CHECK(holds(R"("includes":{"minKernel":"6.1"})", kPlain));
    CHECK_FALSE(holds(R"("includes":{"minKernel":"6.10"})", kPlain));
    CHECK_FALSE(holds(R"("excludes":{"minKernel":"4.8"})", kPlain));
}

TEST_CASE("a resolved profile is what a runtime reads", "[bundle]") {
    const auto profile = profile_of(
        R"("defaultErrnoRet":38,"defaultErrno":"ENOSYS","flags":["SECCOMP_FILTER_FLAG_LOG"],
           "archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]},
                      {"architecture":"SCMP_ARCH_AARCH64","subArchitectures":["SCMP_ARCH_ARM"]}],
           "syscalls":[{"name":"mount","action":"SCMP_ACT_ERRNO","errno":"EPERM","comment":"c",
                        "args":[{"index":2,"value":9,"valueTwo":1,"op":"SCMP_CMP_MASKED_EQ"}]},)" +
        rule("read", R"("args":null)") + "]");
    CHECK(resolved(profile, kPlain) ==
          R"({"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,)"
          R"("architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86"],"flags":["SECCOMP_FILTER_FLAG_LOG"],)"
          R"("syscalls":[{"names":["mount"],"action":"SCMP_ACT_ERRNO","errnoRet":1,)"
          R"("args":[{"index":2,"value":9,"valueTwo":1,"op":"SCMP_CMP_MASKED_EQ"}]},)"
          R"({"names":["read"],"action":"SCMP_ACT_ALLOW"}]})");
}

TEST_CASE("a profile that is not understood is refused, whatever is wrong with it", "[bundle]") {
    const auto in_profile = [](const std::string& members) {
        return error_of(R"({"defaultAction":"SCMP_ACT_ERRNO",)" + members + "}");
    };
    CHECK_THAT(error_of("{"), Catch::StartsWith("the system call filter /p.json cannot be used: line 1"));
    CHECK_THAT(error_of("[]"), Catch::Contains("no JSON object"));
    CHECK_THAT(error_of(R"({"syscalls":[]})"), Catch::Contains("\"defaultAction\""));
    CHECK_THAT(in_profile(R"("syscalls":[])"), Catch::Contains("no rules"));
    CHECK_THAT(in_profile(R"("syscalls":{})"), Catch::Contains("\"syscalls\" is no list"));
    CHECK_THAT(in_profile(R"("syscalls":[7])"), Catch::Contains("\"syscalls\" is no list"));
    CHECK_THAT(in_profile(R"("syscalls":[{"names":[],"action":"SCMP_ACT_ALLOW"}])"),
               Catch::Contains("syscalls/0: it names no system call"));
    CHECK_THAT(in_profile(R"("syscalls":[{"names":[7],"action":"SCMP_ACT_ALLOW"}])"), Catch::Contains("\"names\""));
    CHECK_THAT(in_profile(R"("syscalls":[{"names":["x"],"action":"allow"}])"), Catch::Contains("\"action\""));
    CHECK_THAT(in_profile(R"("syscalls":[{"names":["x"],"action":"SCMP_ACT_NOTIFY"}])"),
               Catch::Contains("asks a supervisor"));
    const auto in_rule = [&](const std::string& members) {
        return in_profile(R"("syscalls":[)" + rule("read") + "," + rule("x", members) + "]");
    };
    CHECK_THAT(in_rule(R"("includes":{"distributions":["x"]})"),
               Catch::Contains("syscalls/1: \"includes\" has a condition that is not known"));
    CHECK_THAT(in_rule(R"("excludes":{"caps\u0000":["CAP_KILL"]})"), Catch::Contains("a condition that is not known"));
    CHECK_THAT(in_rule(R"("excludes":[])"), Catch::Contains("\"excludes\" is no object"));
    CHECK_THAT(in_rule(R"("excludes":{"caps":"CAP_KILL"})"), Catch::Contains("\"caps\""));
    CHECK_THAT(in_rule(R"("includes":{"minKernel":4})"), Catch::Contains("\"minKernel\""));
    CHECK_THAT(in_rule(R"("errnoRet":-1)"), Catch::Contains("\"errnoRet\""));
    CHECK_THAT(in_rule(R"("errno":"EHUH")"), Catch::Contains("\"errno\""));
    CHECK_THAT(in_rule(R"("args":[{"index":6,"value":0,"op":"SCMP_CMP_EQ"}])"), Catch::Contains("\"index\""));
    CHECK_THAT(in_rule(R"("args":[{"index":0,"value":0,"op":"=="}])"), Catch::Contains("\"op\""));
}

TEST_CASE("the first profile that exists counts, and must be good", "[bundle]") {
    const TemporaryDirectory directory;
    const std::string good = R"({"defaultAction":"SCMP_ACT_ERRNO","syscalls":[)" + rule("read") + "]}";
    std::ofstream{directory / "good"} << good;
    std::ofstream{directory / "bad"} << "{";
    std::filesystem::create_symlink("good", directory / "link");
    std::filesystem::create_symlink("nowhere", directory / "dangling");

    const auto none = SeccompProfile::find({directory / "absent", directory / "good/below"});
    REQUIRE(none);
    CHECK_FALSE(*none);
    const auto found = SeccompProfile::find({directory / "absent", directory / "good", directory / "bad"});
    REQUIRE(found);
    REQUIRE(*found);
    CHECK((*found)->path() == directory / "good");
    CHECK(SeccompProfile::load(directory / "link"));
    for (const char* wrong : {"bad", "dangling", "."}) {
        INFO(wrong);
        CHECK_FALSE(SeccompProfile::find({directory / wrong, directory / "good"}));
    }
    CHECK_FALSE(SeccompProfile::load(directory / "absent"));
    CHECK_THAT(no_profile_note(), Catch::Contains("containers-common"));
}

TEST_CASE("the facts of this host can be compared", "[bundle]") {
    const SeccompFacts facts = SeccompFacts::of_host({"CAP_KILL"});
    CHECK(facts.capabilities == std::vector<std::string>{"CAP_KILL"});
    CHECK(facts.kernel.first >= 4);
    CHECK_FALSE(facts.architecture.empty());
}

TEST_CASE("the host's own profile is understood, where there is one", "[bundle]") {
    const auto found = SeccompProfile::find({"/usr/share/containers/seccomp.json"});
    REQUIRE(found);
    if (!*found) return;
    SeccompFacts facts = SeccompFacts::of_host({});
    const std::string without = resolved(**found, facts);
    facts.capabilities = {"CAP_SYS_ADMIN"};
    const std::string with = resolved(**found, facts);
    REQUIRE(parse_json(without));
    REQUIRE(parse_json(with));
    CHECK(with != without);
}
