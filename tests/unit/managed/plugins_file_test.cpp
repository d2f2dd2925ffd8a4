#include "daemon/managed/plugins_file.h"

#include <catch2/catch.hpp>
#include <utility>

using namespace brokerd;

namespace {

const std::string kId(64, 'a');
const std::string kConfig =
    R"({"entrypoint":["/bin/x"],"interface":{"types":["docker.volumedriver/1.0"],"socket":"x.sock"}})";

/// What lies beside an entry.
class Files : public PluginDirectoryFiles {
public:
    explicit Files(std::map<std::string, std::string> content = {}) : content_{std::move(content)} {}
    std::optional<std::string> read(const std::string&, const std::string& file) override {
        const auto found = content_.find(file);
        return found == content_.end() ? std::nullopt : std::optional{found->second};
    }

private:
    std::map<std::string, std::string> content_;
};

/// The members of "plugin" beside a config.
std::string with_config(const std::string& members) {
    return R"({"plugin":{"Config":)" + kConfig + (members.empty() ? "" : "," + members) + "}}";
}

std::string with_brokerd(const std::string& brokerd) {
    return R"({"plugin":{"Name":"x","Config":)" + kConfig + R"(},"brokerd":)" + brokerd + "}";
}

PluginsFileContent read(const std::string& entry, Files files = Files{}, const std::string& id = kId) {
    auto content = read_plugins_file("{\"" + id + "\":" + entry + "}", files);
    REQUIRE(content);
    return std::move(*content);
}

}  // namespace

TEST_CASE("what is wrong with an entry is told, and the entry kept as it is", "[managed]") {
    const std::string digest = "sha256:" + std::string(64, '0');
    const std::vector<std::pair<std::string, const char*>> mistakes{
        {"3", "it is not valid"},
        {"{}", "it has no \"plugin\""},
        {R"({"plugin":3})", "its \"plugin\" is not valid"},
        {R"({"plugin":{"Name":"x"}})", "no \"Config\", and its directory has no config.json"},
        {R"({"plugin":{"Name":"x","Config":{}}})", "its config is not valid"},
        {R"({"plugin":{"Name":"x","Config":null}})", "no \"Config\", and its directory has no config.json"},
        {with_config(""), "it has no \"Name\""},
        {with_config(R"("Name":3)"), "it has no \"Name\""},
        {with_config(R"("Name":"UPPER")"), "its \"Name\" is not valid"},
        {with_config(R"("Name":"x@)" + digest + "\""), "its \"Name\" has a digest"},
        {with_config(R"("Name":"x","Tag":"!")"), "its \"Tag\" is not valid"},
        {with_config(R"("Name":"x","Id":"other")"), "its \"Id\" is \"other\" instead"},
        {with_config(R"("Name":"x","Settings":3)"), "its settings are not valid"},
        {with_config(R"("Name":"x","Config":{},"Settings":{})"), "more than one config"},
        {with_config(R"("Name":"x","Config":{},"Config":{})"), "more than one config"},
        {with_config(R"("Name":"x","Manifest":{},"Config":{})"), "more than one config"},
        {with_brokerd("3"), "its \"brokerd\" is not valid"},
        {with_brokerd("{}"), "its \"brokerd\" is not valid: /version: is missing"},
        {with_brokerd(R"({"version":0})"), "/version: is missing"},
        {with_brokerd(R"({"version":"1"})"), "/version: must be a whole number"},
        {with_brokerd(R"({"version":1.5})"), "/version: must be a whole number"},
        {with_brokerd(R"({"version":-1})"), "/version: must be a whole number"},
        {with_brokerd(R"({"version":1,"revision":9223372036854775808})"), "/revision: must be a whole number"},
        {with_brokerd(R"({"version":99})"), "newer brokerd"},
        {with_brokerd(R"({"version":1,"timeout":86401})"), "/timeout: is more than a day"},
        {with_brokerd(R"({"version":1,"manifest":"sha256:0"})"), "/manifest: "},
        {with_brokerd(R"({"version":1,"layers":["x"]})"), "/layers/0: "},
        {with_brokerd(R"({"version":1,"swap":"../x"})"), "/swap: is no staged directory"},
        {with_brokerd(R"({"version":1,"limits":3})"), "its limits are not valid"},
        {with_brokerd(R"({"version":1,"limits":{"Memory":1}})"), "its limits are not valid"},
        {with_brokerd(R"({"version":1,"granted":3})"), "left out"},
    };
    for (const auto& [entry, reason] : mistakes) {
        INFO(entry);
        const PluginsFileContent content = read(entry);
        CHECK(content.entries.empty());
        REQUIRE(content.findings.size() == 1);
        CHECK_THAT(content.findings.front(), Catch::Contains(reason));
        CHECK(content.kept == std::vector<std::pair<std::string, std::string>>{{kId, entry}});
    }
    CHECK_THAT(read(with_config(R"("Name":"x")"), Files{}, "..").findings.at(0),
               Catch::Contains("name of a directory"));
}

TEST_CASE("every spelling that Docker had is read", "[managed]") {
    const std::string env = R"({"Env":["A=1"]})";
    for (const std::string& entry :
         {with_config(R"("Name":"x:t","Settings":{"Env":["A=1"]},"Enabled":true)"),
          with_config(R"("Name":"x","Tag":"t","Config":{"Env":["A=1"]},"Active":true)"),
          R"({"plugin":{"manifest":)" + kConfig + R"(,"config":{"Env":["A=1"]},"name":"x","tag":"t","enabled":true}})",
          with_config(R"("Name":"x","Tag":"t","Id":null,"Settings":{"Env":["A=1"]},"Active":false,"Enabled":true)")}) {
        INFO(entry);
        const PluginsFileContent content = read(entry);
        REQUIRE(content.entries.size() == 1);
        const PluginRecord& record = *content.entries.at(kId).record;
        CHECK(record.name == "x:t");
        CHECK(record.enabled);
        REQUIRE(record.settings.env.items().size() == 1);
        CHECK(content.to_be_rewritten);
    }
    const Files files{{{"manifest.json", kConfig}, {"plugin-config.json", env}}};
    const PluginsFileContent beside = read(R"({"plugin":{"Name":"x"}})", files);
    REQUIRE(beside.entries.size() == 1);
    CHECK(beside.entries.at(kId).record->settings.env.items().size() == 1);
}

TEST_CASE("an ID or a name that is there twice counts once", "[managed]") {
    Files files;
    const std::string entry = with_config(R"("Name":"x")");
    const auto same_id = read_plugins_file("{\"" + kId + "\":" + entry + ",\"" + kId + "\":" + entry + "}", files);
    REQUIRE(same_id);
    CHECK(same_id->entries.size() == 1);
    REQUIRE(same_id->findings.size() == 1);
    CHECK_THAT(same_id->findings.front(), Catch::Contains("its ID is there twice"));
    const auto same_name =
        read_plugins_file("{\"" + kId + "\":" + entry + ",\"" + std::string(64, 'b') + "\":" + entry + "}", files);
    REQUIRE(same_name);
    CHECK(same_name->entries.size() == 1);
    CHECK_THAT(same_name->findings.at(0), Catch::Contains("its name x:latest is another plugin's"));
}

TEST_CASE("what has not changed is the same record, what has is read again", "[managed]") {
    Files files;
    const auto first = read(with_brokerd(R"({"version":1})"));
    const std::string text = plugins_file_bytes(first.entries, {});
    const auto again = read_plugins_file(text, files);
    REQUIRE(again);
    const auto same = read_plugins_file(text, files, again->entries);
    REQUIRE(same);
    CHECK(same->entries.at(kId).record == again->entries.at(kId).record);
    const auto other =
        read_plugins_file("{\"" + kId + "\":" + with_config(R"("Name":"y")") + "}", files, again->entries);
    REQUIRE(other);
    CHECK(other->entries.at(kId).record->name == "y:latest");
}
