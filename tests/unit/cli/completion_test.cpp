#include <catch2/catch.hpp>

#include "cli/completions.h"
#include "tests/unit/cli/run_cli.h"

namespace brokerd::cli {
namespace {

/// The words offered for the last of `words`, with blanks between, and no explanations.
std::string offered(const std::vector<std::string>& words, const std::vector<std::string>& names = {},
                    const std::string& host = "") {
    const std::string text = completions(words, [&](const std::string& asked) {
        CHECK(asked == host);
        return names;
    });
    std::string out;
    for (std::size_t start = 0; start < text.size(); start = text.find('\n', start) + 1) {
        const std::size_t end = std::min(text.find('\t', start), text.find('\n', start));
        out += (out.empty() ? "" : " ") + text.substr(start, end - start);
    }
    return out;
}

TEST_CASE("commands and flags are completed", "[cli]") {
    CHECK(offered({"insp"}) == "inspect");
    CHECK(offered({"dis"}) == "disable");
    CHECK(offered({"--v"}) == "--version");
    CHECK(offered({"-H", "/x", "list", "--q"}) == "--quiet");
    CHECK(offered({"ls", "--no"}) == "--no-trunc");
    CHECK(offered({"nonsense", ""}).find("ls") != std::string::npos);
    CHECK(offered({"enable", "--", "-"}).empty());
    CHECK(completions({"version"}, {}) == "version\tShow the versions of pluginctl and brokerd\n");
}

TEST_CASE("values of flags are completed, in both ways to write them", "[cli]") {
    CHECK(offered({"wait", "--for", ""}) == "healthy running disabled");
    CHECK(offered({"wait", "x", "--for=d"}) == "--for=disabled");
    CHECK(offered({"ls", "--format", ""}) == "json table");
    CHECK(offered({"inspect", "-f", "j"}) == "json");
    CHECK(offered({"ls", "-f", "kind="}) == "kind=legacy kind=managed");
    CHECK(offered({"ls", "--filter=ca"}) == "--filter=capability=");
    CHECK(offered({"ls", "--filter", "state=inv"}) == "state=invalid");
    CHECK(offered({"events", "--filter", ""}) == "capability=");
    CHECK(offered({"enable", "--timeout", ""}).empty());
    CHECK(offered({"-H", "s"}) == "ssh://");
    CHECK(offered({"ls", "--quiet=", ""}).empty());
}

TEST_CASE("arguments are completed with names, files and shells, as many as there may be", "[cli]") {
    const std::vector<std::string> names{"sshfs", "nfs", "vieux/sshfs:latest"};
    CHECK(offered({"inspect", "s"}, names) == "sshfs");
    CHECK(offered({"inspect", "sshfs", ""}, names) == "sshfs nfs vieux/sshfs:latest");
    CHECK(offered({"rm", "-f", "vieux/sshfs:l"}, names) == "vieux/sshfs:latest");
    CHECK(offered({"enable", "--timeout", "3", "n"}, names) == "nfs");
    CHECK(offered({"enable", "nfs", ""}, names).empty());
    CHECK(offered({"call", "nfs", ""}, names).empty());
    CHECK(offered({"ls", ""}, names).empty());
    CHECK(offered({"completion", "ba"}) == "bash");
    CHECK(offered({"load", ""}) == ":files");
    CHECK(offered({"save", "-o", ""}) == ":files");
}

TEST_CASE("names come from the host that the line names", "[cli]") {
    CHECK(offered({"-H", "unix:///a", "enable", ""}, {"x"}, "unix:///a") == "x");
    CHECK(offered({"enable", "--host=/b", ""}, {"x"}, "/b") == "x");
}

TEST_CASE("no name that a shell could take for more is offered", "[cli]") {
    CHECK(offered({"inspect", ""}, {"x$(id)", "x`id`", "x;y", "x y", "x\ny", "x\ty", "-x", "", "x'y", "x\"", "x\\",
                                    "~x", "xx"}) == "xx");
}

TEST_CASE("pluginctl answers the scripts, also where there is no daemon", "[cli]") {
    const Ran ran = run_cli({"__complete", "-H", "/nowhere", "inspect", ""});
    CHECK(ran.status == 0);
    CHECK(ran.out.empty());
    CHECK(ran.err.empty());
    CHECK(run_cli({"__complete"}).status == 0);
    for (const char* shell : {"bash", "zsh", "fish"}) {
        CHECK_THAT(run_cli({"completion", shell}).out, Catch::Contains("pluginctl __complete"));
    }
}

}  // namespace
}  // namespace brokerd::cli
