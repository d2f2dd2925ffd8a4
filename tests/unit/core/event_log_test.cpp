#include "daemon/core/event_log.h"

#include <catch2/catch.hpp>
#include <optional>

#include "tests/fakes/fake_scheduler.h"

using namespace brokerd;

namespace {

PluginEvent event(const std::string& action) {
    PluginEvent made;
    made.action = action;
    return made;
}

}  // namespace

TEST_CASE("events are numbered and told in order", "[core]") {
    FakeScheduler clock;
    EventLog log{clock};
    std::vector<std::uint64_t> told;
    const auto subscription = log.subscribe([&](const PluginEvent& news) { told.push_back(news.sequence); });
    log.publish(event("active"));
    log.publish(event("gone"));
    CHECK(told == std::vector<std::uint64_t>{1, 2});
    CHECK(log.kept().size() == 2);
}

TEST_CASE("only the newest events are kept", "[core]") {
    FakeScheduler clock;
    EventLog log{clock};
    for (std::size_t i = 0; i < EventLog::kKept + 10; ++i) log.publish(event("active"));
    CHECK(log.kept().size() == EventLog::kKept);
    CHECK(log.kept().front().sequence == 11);
}

TEST_CASE("a handler may end its own subscription", "[core]") {
    FakeScheduler clock;
    EventLog log{clock};
    int told = 0;
    std::optional<EventLog::Subscription> subscription;
    subscription.emplace(log.subscribe([&](const PluginEvent&) {
        ++told;
        subscription.reset();
    }));
    log.publish(event("active"));
    log.publish(event("active"));
    CHECK(told == 1);
}
