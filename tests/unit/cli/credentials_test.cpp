#include "cli/registry/credentials.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "common/base64.h"

namespace brokerd::cli {
namespace {

namespace fs = std::filesystem;

/// A directory with a config.json, and with credential helpers that are found in PATH as long as it lives.
class DockerConfig {
public:
    explicit DockerConfig(const std::string& json) {
        char directory[] = "/tmp/b.XXXXXX";
        REQUIRE(::mkdtemp(directory) != nullptr);
        directory_ = directory;
        std::ofstream{directory_ + "/config.json"} << json;
        const char* path = ::getenv("PATH");
        path_ = path == nullptr ? "" : path;
        ::setenv("PATH", (directory_ + ":" + path_).c_str(), 1);
    }
    DockerConfig(const DockerConfig&) = delete;
    DockerConfig& operator=(const DockerConfig&) = delete;
    ~DockerConfig() {
        ::setenv("PATH", path_.c_str(), 1);
        fs::remove_all(directory_);
    }

    void helper(const std::string& name, const std::string& script) const {
        const std::string file = directory_ + "/docker-credential-" + name;
        std::ofstream{file} << "#!/bin/sh\n" << script << '\n';
        REQUIRE(::chmod(file.c_str(), 0755) == 0);
    }
    [[nodiscard]] std::string path() const { return directory_; }
    /// The JSON that is sent for a registry; with a '!' before it a warning.
    [[nodiscard]] std::string of(const std::string& domain) const {
        const RegistryAuth auth = registry_auth(directory_, domain);
        if (!auth.warning.empty()) return "!" + auth.warning;
        std::string text = auth.header;
        for (char& c : text) c = c == '-' ? '+' : c == '_' ? '/' : c;
        return *base64_decoded(text);
    }

private:
    std::string directory_;
    std::string path_;
};

constexpr const char* kJoe = R"({"username":"joe","password":"pw:?>","serveraddress":")";

TEST_CASE("credentials are those of exactly the registry", "[cli]") {
    const DockerConfig config{R"({"auths":{
        "localhost:5000":{"auth":"am9lOnB3Oj8+"},
        "https://old.example/v2/":{"username":"joe","password":"pw:?>"},
        "https://index.docker.io/v1/":{"auth":"am9lOnB3Oj8+"},
        "token.example":{"identitytoken":"tok","auth":"am9lOnB3Oj8+"},
        "empty.example":{}}})"};
    CHECK(config.of("localhost:5000") == std::string{kJoe} + "localhost:5000\"}");
    CHECK(config.of("old.example") == std::string{kJoe} + "old.example\"}");
    CHECK(config.of("docker.io") == std::string{kJoe} + "https://index.docker.io/v1/\"}");
    CHECK(config.of("token.example") == R"({"identitytoken":"tok","serveraddress":"token.example"})");
    for (const char* other : {"localhost", "localhost:5001", "example", "docker.io.example", "empty.example"}) {
        CAPTURE(other);
        CHECK(config.of(other).empty());
    }
}

TEST_CASE("a configuration that is not there, or not JSON, is no credentials", "[cli]") {
    CHECK(registry_auth("", "x").warning.empty());
    CHECK(registry_auth("/nowhere/at/all", "x").warning.empty());
    const DockerConfig broken{"{\"auths\":\n {x}}"};
    CHECK_THAT(broken.of("x"), Catch::StartsWith("!") && Catch::Contains("line 2, column 3"));
    CHECK_THAT(DockerConfig{"[]"}.of("x"), Catch::Contains("not a JSON object"));
    const DockerConfig bad{R"({"auths":{"x":{"auth":"c2VjcmV0"},"y":{"auth":"%secret"}}})"};
    CHECK_THAT(bad.of("x"), Catch::StartsWith("!") && !Catch::Contains("c2VjcmV0") && !Catch::Contains("secret"));
    CHECK_THAT(bad.of("y"), Catch::StartsWith("!") && !Catch::Contains("%secret"));
    for (const char* odd : {R"({"auths":7})", R"({"auths":{"x":7}})", R"({"credHelpers":{"x":7}})", "{}"}) {
        CAPTURE(odd);
        CHECK(DockerConfig{odd}.of("x").empty());
    }
    CHECK_THAT(DockerConfig{std::string(2u << 20, ' ')}.of("x"), Catch::Contains("more than"));
}

TEST_CASE("a helper is asked for the registry's key", "[cli]") {
    const DockerConfig config{
        R"({"credsStore":"all","credHelpers":{"one.example":"one"},"auths":{"x":{"auth":"YTpi"}}})"};
    config.helper("all", R"(read server; echo "{\"ServerURL\":\"\",\"Username\":\"$1\",\"Secret\":\"$server\"}")");
    config.helper("one", R"(echo '{"Username":"<token>","Secret":"tok"}')");
    CHECK(config.of("x") == R"({"username":"get","password":"x","serveraddress":"x"})");
    CHECK_THAT(config.of("docker.io"), Catch::Contains(R"("password":"https://index.docker.io/v1/")"));
    CHECK(config.of("one.example") == R"({"identitytoken":"tok","serveraddress":"one.example"})");
}

TEST_CASE("a helper that has nothing is silence, one that fails a warning without its words", "[cli]") {
    const DockerConfig config{R"({"credsStore":"h"})"};
    config.helper("h", "echo 'credentials not found in native keychain'; exit 1");
    CHECK(config.of("x").empty());
    config.helper("h", "echo secret; exit 3");
    CHECK_THAT(config.of("x"), Catch::Contains("failed with status 3") && !Catch::Contains("secret"));
    config.helper("h", "echo secret");
    CHECK_THAT(config.of("x"), Catch::Contains("does not answer with a JSON object") && !Catch::Contains("secret"));
    config.helper("h", "cat /dev/zero");
    CHECK_THAT(config.of("x"), Catch::Contains("too much"));
    CHECK_THAT(DockerConfig{R"({"credsStore":"../../bin/sh"})"}.of("x"), Catch::Contains("not the name"));
    CHECK_THAT(DockerConfig{R"({"credsStore":"is-not-installed"})"}.of("x"), Catch::Contains("cannot run"));
}

}  // namespace
}  // namespace brokerd::cli
