#include "daemon/core/plugin_journal.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "tests/fakes/fake_scheduler.h"

using namespace brokerd;
using namespace std::chrono_literals;

namespace {

struct Fixture {
    void event(const std::string& action, const std::string& plugin, const std::string& detail = "") {
        PluginEvent made;
        made.action = action;
        made.plugin = plugin;
        made.detail = detail;
        made.implements = {"VolumeDriver", "authz"};
        journal.note(made, id);
    }
    /// What an operator sees who has not asked for "debug".
    std::vector<std::string> lines() const {
        std::vector<std::string> all;
        for (const LogEntry& entry : entries) {
            if (entry.level < LogLevel::debug) all.push_back(entry.message);
        }
        return all;
    }
    std::string field(std::string_view name) const {
        for (const LogEntry::Field& field : entries.back().fields) {
            if (field.name == name) return field.value;
        }
        return "(none)";
    }

    std::string id;
    FakeScheduler clock;
    std::vector<LogEntry> entries;
    PluginJournal journal{clock, [this](LogEntry entry) { entries.push_back(std::move(entry)); }};
};

}  // namespace

TEST_CASE_METHOD(Fixture, "an event is one line with its fields", "[core]") {
    id = "0123abcd";
    event("restarting", "v/s:latest", "it exited with status 1");
    REQUIRE(entries.size() == 1);
    CHECK(entries[0].message == "plugin v/s:latest is restarting: it exited with status 1");
    CHECK(entries[0].level == LogLevel::warning);
    CHECK(entries[0].id.hex == message::kPluginRestarting.hex);
    CHECK(field("PLUGIN_NAME") == "v/s:latest");
    CHECK(field("PLUGIN_ID") == "0123abcd");
    CHECK(field("EVENT") == "restarting");
    CHECK(field("REASON") == "it exited with status 1");
}

TEST_CASE_METHOD(Fixture, "a legacy plugin that was in service is down, in the words of the events", "[core]") {
    event("activating", "x");
    CHECK(entries.back().level == LogLevel::debug);
    event("active", "x", "it answers at tcp://h:1");
    CHECK(entries.back().message == "plugin x is active: it answers at tcp://h:1");
    CHECK(field("REASON") == "(none)");
    CHECK(field("PLUGIN_ID") == "(none)");
    event("activating", "x", "nobody listens");
    CHECK(entries.back().message == "plugin x is down: nobody listens");
    CHECK(entries.back().id.hex == message::kPluginDown.hex);
    CHECK(field("EVENT") == "activating");
    event("changed", "x", "its manifest has changed");
    CHECK(entries.back().message == "plugin x now implements VolumeDriver, authz");
}

TEST_CASE_METHOD(Fixture, "starting and stopping are no news by themselves", "[core]") {
    for (const char* action : {"starting", "running", "enabled", "disabled", "stopping", "stopped"}) event(action, "x");
    CHECK(lines() == std::vector<std::string>{"plugin x is running", "plugin x is enabled", "plugin x is disabled",
                                              "plugin x is stopped"});
}

TEST_CASE_METHOD(Fixture, "a crash loop is told of once and then summed up", "[core]") {
    event("running", "x");
    for (int i = 0; i < 100; ++i) {
        event("restarting", "x", fmt::format("it exited with status 1 {} s after its start", i));
        event("starting", "x");
        clock.advance(3s);
    }
    const auto seen = lines();
    REQUIRE(seen.size() == 4);
    CHECK(seen[1] == "plugin x is restarting: it exited with status 1 0 s after its start");
    CHECK(seen[2] ==
          "plugin x is restarting, 19 times more in the last 60 s: it exited with status 1 19 s after its start");
    CHECK(seen[3] ==
          "plugin x is restarting, 40 times more in the last 2 min: it exited with status 1 59 s after its start");
    event("running", "x");
    CHECK(lines().back() == "plugin x is running; before that it failed for 5 min, 100 times");
}

TEST_CASE_METHOD(Fixture, "the summary has the fields of the newest failure", "[core]") {
    id = "0123abcd";
    event("failed", "x", "no runtime");
    for (int i = 0; i < 10; ++i) journal.note_again("x", "no runtime");
    clock.advance(65s);
    CHECK(entries.back().id.hex == message::kFailuresSummed.hex);
    CHECK(field("FAILURES") == "10");
    CHECK(field("EVENT") == "failed");
    CHECK(field("REASON") == "no runtime");
    CHECK(field("PLUGIN_ID") == "0123abcd");
}

TEST_CASE_METHOD(Fixture, "further attempts are told where the reason is another one", "[core]") {
    journal.note_again("x", "nobody knows of it");
    CHECK(entries.empty());
    event("failed", "x", "no such socket");
    journal.note_again("x", "no such socket");
    journal.note_again("x", "connection refused");
    journal.note_again("x", "connection refused");
    CHECK(lines() ==
          std::vector<std::string>{"plugin x has failed: no such socket", "plugin x has failed: connection refused"});
    CHECK(field("EVENT") == "failed");
    CHECK(entries.back().id.hex == message::kPluginFailed.hex);
}

TEST_CASE_METHOD(Fixture, "a thousand plugins that are down share the lines that sum up", "[core]") {
    for (int i = 0; i < 1000; ++i) event("failed", fmt::format("plugin{:03}", i), "no such socket");
    REQUIRE(lines().size() == 1000);
    entries.clear();
    for (auto at = 0s; at < 24h; at += 2s) {
        for (int i = 0; i < 1000; i += 100)  // a tenth of the probes is enough to be counted
            journal.note_again(fmt::format("plugin{:03}", i), "no such socket");
        clock.advance(2s);
    }
    CHECK(lines().size() < 40);
    CHECK(lines()[0] ==
          "10 plugins have failed again and again: plugin000, plugin100, plugin200, plugin300, plugin400 and 5 more; "
          "\"pluginctl doctor\" has the reasons");
}

TEST_CASE_METHOD(Fixture, "what is removed is forgotten, and nothing is left to do", "[core]") {
    event("failed", "x", "no");
    event("failed", "x", "no");
    event("gone", "x", "x.spec is gone");
    const auto before = entries.size();
    clock.advance(24h);
    CHECK(entries.size() == before);
    event("failed", "x", "no");
    CHECK(entries.back().level == LogLevel::warning);
}

TEST_CASE_METHOD(Fixture, "a plugin that removes its socket with each crash is told of once, then summed up",
                 "[core]") {
    for (int i = 0; i < 100; ++i) {
        event("discovered", "x");
        event("activating", "x");
        event("active", "x", "it answers at unix:///p/x.sock");
        clock.advance(2s);
        event("gone", "x", "x.sock is gone");
        clock.advance(1s);
    }
    const auto seen = lines();
    REQUIRE(seen.size() == 5);
    CHECK(seen[1] == "plugin x is gone: x.sock is gone");
    CHECK(seen[2] == "plugin x is active: it answers at unix:///p/x.sock");
    CHECK(seen[3].starts_with("plugin x "));
    CHECK(seen[3].find("19 times more in the last 60 s") != std::string::npos);
    clock.advance(60s);
    CHECK(lines().size() == 6);
    CHECK(lines().back().starts_with("plugin x is gone, "));
    const auto before = entries.size();
    clock.advance(24h);
    CHECK(entries.size() == before);
}

TEST_CASE_METHOD(Fixture, "one that fails each time before it is gone is summed up, too", "[core]") {
    for (int i = 0; i < 100; ++i) {
        event("discovered", "x");
        event("failed", "x", "it answered the handshake with status 500 instead of 200");
        event("gone", "x", "x.sock is gone");
        clock.advance(500ms);
    }
    CHECK(lines().size() == 2);
}

TEST_CASE_METHOD(Fixture, "a definition that still fails at another place is told of", "[core]") {
    event("failed", "x", "no connection to 127.0.0.1:1: Connection refused");
    journal.note_moved("x");
    event("redefined", "x", "defined by x.spec");
    event("failed", "x", "no connection to 127.0.0.2:2: Connection refused");
    journal.note_again("x", "no connection to 127.0.0.2:2: Connection refused");
    CHECK(lines() == std::vector<std::string>{"plugin x has failed: no connection to 127.0.0.1:1: Connection refused",
                                              "plugin x has failed: no connection to 127.0.0.2:2: Connection refused"});
    CHECK(entries.size() == 4);  // with "debug" all of it is there
}

TEST_CASE_METHOD(Fixture, "a plugin that goes on changing its manifest is summed up", "[core]") {
    event("active", "x");
    for (int i = 0; i < 100; ++i) {
        event("changed", "x");
        clock.advance(500ms);
    }
    CHECK(lines().size() == 2);
    clock.advance(75s);
    REQUIRE(lines().size() == 3);
    CHECK(lines().back() ==
          "plugin x has changed, 99 times more in the last 60 s: it now implements VolumeDriver, authz");
    event("activating", "x", "nobody listens");
    CHECK(lines().back() == "plugin x is down: nobody listens");
    event("active", "x");
    CHECK(lines().back() == "plugin x is active; before that it failed for 0 s");
    clock.advance(24h);
    CHECK(lines().size() == 5);
}

TEST_CASE_METHOD(Fixture, "after a minute of service a failure is news again", "[core]") {
    event("failed", "x", "no");
    event("active", "x", "it answers");
    clock.advance(70s);
    event("failed", "x", "no");
    CHECK(lines().size() == 3);
    CHECK(lines().back() == "plugin x has failed: no");
}

namespace {

/// The entries of systemd/brokerd.catalog by their ID: what stands between "-- ID" and the next.
std::map<std::string, std::string> catalogue() {
    std::ifstream file{BROKERD_CATALOG};
    REQUIRE(file);
    std::map<std::string, std::string> entries;
    std::string current;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("-- ")) {
            current = line.substr(3);
            CHECK(entries.emplace(current, "").second);
        } else if (!line.starts_with('#') && !current.empty()) {
            entries[current] += line + '\n';
        }
    }
    return entries;
}

}  // namespace

TEST_CASE("the catalogue has an entry for each message, and none else", "[core]") {
    const auto entries = catalogue();
    std::set<std::string> ids;
    for (const MessageId& id : message::kAll) {
        CHECK(id.hex.size() == 32);
        CHECK(id.hex.find_first_not_of("0123456789abcdef") == std::string_view::npos);
        CHECK(ids.emplace(id.hex).second);
        INFO(id.hex);
        REQUIRE(entries.contains(std::string{id.hex}));
        const std::string& text = entries.at(std::string{id.hex});
        CHECK(text.starts_with("Subject: "));
        CHECK(text.find("\nDefined-By: brokerd\n") != std::string::npos);
        CHECK(text.find("\n\n") != std::string::npos);  // then comes what to do
        CHECK(text.size() > 120);
    }
    CHECK(entries.size() == ids.size());
}
