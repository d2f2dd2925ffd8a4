#include "common/plugin_view.h"

#include <catch2/catch.hpp>

using namespace brokerd;
using namespace std::chrono_literals;

namespace {

template <class T>
std::string json_of(const T& value) {
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    write_json(writer, value);
    return {buffer.GetString(), buffer.GetSize()};
}

rapidjson::Document document(std::string_view text) {
    auto parsed = parse_json(text);
    REQUIRE(parsed);
    return std::move(*parsed);
}

PluginView full_view() {
    PluginView view;
    view.name = "vieux/sshfs:latest";
    view.kind = "managed";
    view.state = "failed";
    view.implements = {"VolumeDriver", "authz"};
    view.endpoint = "https://plugin.example:7000";
    view.definition = "/etc/docker/plugins/sshfs.json";
    view.published = {"/run/brokerd/plugins/sshfs.sock", "/run/docker/plugins/sshfs.sock"};
    view.reason = "connection refused";
    view.since = parse_time("2026-02-03T04:05:06.700000000Z");
    view.attempts = 7;
    view.next_attempt = parse_time("2026-02-03T04:05:07Z");
    view.tls = PluginView::Tls{"CAFile", true};
    view.warnings = {"trailing comma"};
    view.shadows = {{"/usr/lib/docker/plugins/sshfs.spec", "shadowed"}};
    return view;
}

}  // namespace

TEST_CASE("a plugin view survives the way through JSON", "[common]") {
    const std::string text = json_of(full_view());
    CHECK(json_of(plugin_view_from_json(document(text))) == text);
    CHECK(text.find(R"("Since":"2026-02-03T04:05:06.700000000Z")") != text.npos);
    CHECK(text.find(R"("TLS":{"Verify":"CAFile","ClientCertificate":true})") != text.npos);
}

TEST_CASE("absent times and TLS are left out, lists never", "[common]") {
    PluginView view;
    view.name = "mobyfs";
    view.state = "discovered";
    CHECK(json_of(view) ==
          R"({"Name":"mobyfs","Kind":"legacy","State":"discovered","Implements":[],"Endpoint":"","Definition":"",)"
          R"("Published":[],"Reason":"","Attempts":0,"Warnings":[],"Shadows":[],"Leases":[]})");
}

TEST_CASE("events and findings survive the way through JSON", "[common]") {
    PluginEvent event;
    event.sequence = 18446744073709551615U;
    event.time = parse_time("2026-02-03T04:05:06.000000001Z");
    event.action = "active";
    event.plugin = "mobyfs";
    event.implements = {"VolumeDriver"};
    event.detail = "bytes that are not UTF-8: \xff";
    const std::string event_text = json_of(event);
    CHECK(json_of(plugin_event_from_json(document(event_text))) == event_text);

    const Finding finding{"mobyfs", "error", "unreachable", "/etc/docker/plugins/mobyfs.spec", "refused", "start it"};
    const std::string finding_text = json_of(finding);
    CHECK(json_of(finding_from_json(document(finding_text))) == finding_text);
}

TEST_CASE("what another version leaves out or spells differently reads as empty", "[common]") {
    for (const char* text :
         {"null", "[]", "7", "{}", R"({"Name":7,"Implements":{},"Attempts":-1,"TLS":[],"Since":true})",
          R"({"Implements":[1,null],"Shadows":[1,"x"],"Attempts":1e99,"TLS":null,"Sequence":-1})"}) {
        INFO(text);
        const rapidjson::Document value = document(text);
        const PluginView view = plugin_view_from_json(value);
        CHECK(view.name.empty());
        CHECK(view.implements.empty());
        CHECK(view.attempts == 0);
        CHECK_FALSE(view.tls);
        CHECK(view.shadows.empty());
        CHECK(view.since == PluginView::Time{});
        CHECK(plugin_event_from_json(value).sequence == 0);
        CHECK(finding_from_json(value).problem.empty());
    }
}

TEST_CASE("times are RFC 3339 in UTC with nanoseconds", "[common]") {
    const PluginView::Time leap_day = std::chrono::sys_days{std::chrono::year{2028} / 2 / 29} + 23h + 59min + 59s + 5ns;
    CHECK(format_time(leap_day) == "2028-02-29T23:59:59.000000005Z");
    CHECK(parse_time(format_time(leap_day)) == leap_day);
    CHECK(parse_time("2028-02-29T23:59:59.000000005Z") == leap_day);
    CHECK(parse_time("2028-02-29T23:59:59.5Z") == leap_day - 5ns + 500ms);
    CHECK(format_time({}).empty());
}

TEST_CASE("what is not a time is the epoch", "[common]") {
    for (const char* text : {"", "Z", "2026", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z",
                             "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.1234567890Z",
                             "2026-01-01T00:00:00Zx", "-026-01-01T00:00:00Z", "9999-01-01T00:00:00Z",
                             "1677-01-01T00:00:00Z", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00+01:00"}) {
        INFO(text);
        CHECK(parse_time(text) == PluginView::Time{});
    }
}
