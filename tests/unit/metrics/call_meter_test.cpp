#include "daemon/metrics/call_meter.h"

#include <catch2/catch.hpp>
#include <string>

#include "daemon/metrics/broker_counts.h"

namespace brokerd {
namespace {

using namespace std::chrono_literals;

std::uint64_t ended(const MethodCounts& counts, Outcome outcome) {
    return counts.calls[static_cast<std::size_t>(outcome)];
}

TEST_CASE("a meter that nobody used owns nothing", "[metrics]") {
    const PluginMeter meter;
    CHECK(meter.methods().empty());
    CHECK(meter.methods().capacity() == 0);
}

TEST_CASE("calls are counted by method and outcome", "[metrics]") {
    PluginMeter meter;
    MethodMeter& get = meter.method("/VolumeDriver.Get");
    get.begin();
    get.begin();
    CHECK(get.counts().in_flight == 2);
    get.end(Outcome::ok, 3ms, 10, 200);
    get.end(Outcome::plugin_error, 5ms, 1, 2);
    meter.method("/VolumeDriver.List").refuse();
    CHECK(&meter.method("/VolumeDriver.Get") == &get);

    CHECK(get.counts().in_flight == 0);
    CHECK(ended(get.counts(), Outcome::ok) == 1);
    CHECK(ended(get.counts(), Outcome::plugin_error) == 1);
    CHECK(get.counts().request_bytes == 11);
    CHECK(get.counts().answer_bytes == 202);
    CHECK(get.counts().durations.max() == 5ms);
    REQUIRE(meter.methods().size() == 2);
    CHECK(meter.methods()[1]->name == "VolumeDriver.List");
    CHECK(ended(meter.methods()[1]->meter.counts(), Outcome::broker_error) == 1);
    CHECK(meter.methods()[1]->meter.counts().durations.count() == 0);
}

TEST_CASE("invented methods use up neither memory nor the places of those in use", "[metrics]") {
    PluginMeter meter;
    MethodMeter& first = meter.method("/VolumeDriver.Get");
    for (int i = 0; i < 10'000; ++i) meter.method("/VolumeDriver.Invented" + std::to_string(i)).begin();
    CHECK(meter.methods().size() == PluginMeter::kMaxMethods);
    CHECK(&meter.method("/VolumeDriver.Get") == &first);
    MethodMeter& other = meter.method("/VolumeDriver.OneMore");
    CHECK(&other == &meter.method("/VolumeDriver.Another"));
    CHECK(meter.methods().back()->name == PluginMeter::kOther);
    // What was called before kOther was needed has kept its own.
    CHECK(other.counts().in_flight == 10'000 - (PluginMeter::kMaxMethods - 2));
}

TEST_CASE("a name that is too long is other, also where there is room", "[metrics]") {
    PluginMeter meter;
    const std::string longest = "VolumeDriver." + std::string(PluginMeter::kMaxNameBytes - 13, 'x');
    MethodMeter& whole = meter.method("/" + longest);
    CHECK(&whole != &meter.method("/" + longest + "y"));
    REQUIRE(meter.methods().size() == 2);
    CHECK(meter.methods()[0]->name == longest);
    CHECK(meter.methods()[1]->name == "other");
    CHECK(&meter.method("/") == &meter.method("/" + std::string(60'000, 'z')));
    for (int i = 0; i < 100; ++i) meter.method("/VolumeDriver.Invented" + std::to_string(i)).begin();
    CHECK(meter.methods().size() == PluginMeter::kMaxMethods);
}

TEST_CASE("a metered call ends once, however it ends", "[metrics]") {
    PluginMeter meter;
    MethodMeter& get = meter.method("/VolumeDriver.Get");
    const auto now = MeteredCall::Clock::now();
    MeteredCall call;
    call.finish(Outcome::ok, now);  // none is running
    call.start(get, now);
    CHECK(call.is_running());
    call.add_request_bytes(3);
    call.add_answer_bytes(4);
    call.add_answer_bytes(5);
    call.finish(Outcome::ok, now + 7ms);
    call.finish(Outcome::broker_error, now + 8ms);
    CHECK_FALSE(call.is_running());
    CHECK(ended(get.counts(), Outcome::ok) == 1);
    CHECK(ended(get.counts(), Outcome::broker_error) == 0);
    CHECK(get.counts().request_bytes == 3);
    CHECK(get.counts().answer_bytes == 9);
    CHECK(get.counts().durations.max() == 7ms);
    {  // forgotten
        MeteredCall lost;
        lost.start(get, now);
    }
    call.start(get, now);
    call.start(get, now);  // the first has been abandoned
    call.finish(Outcome::ok, now);
    CHECK(ended(get.counts(), Outcome::client_gone) == 2);
    CHECK(ended(get.counts(), Outcome::ok) == 2);
    CHECK(get.counts().answer_bytes == 9);
    CHECK(get.counts().in_flight == 0);
}

MethodCounts counts_of(std::uint64_t ok, std::chrono::nanoseconds duration) {
    MethodMeter meter;
    for (std::uint64_t i = 0; i < ok; ++i) {
        meter.begin();
        meter.end(Outcome::ok, duration, 1, 2);
    }
    meter.begin();
    return meter.counts();
}

TEST_CASE("threads are merged by plugin and method", "[metrics]") {
    BrokerCounts counts;
    counts.plugins = {{7, "b", "legacy", "active"}, {3, "a", "legacy", "failed"}, {9, "c", "legacy", "active"}};
    counts.threads = std::make_shared<const std::vector<ThreadCounts>>(std::vector<ThreadCounts>{
        {{7, 2, 1, {{"V.Get", counts_of(5, 1ms)}, {"V.List", counts_of(1, 1ms)}}},
         {100, 4, 4, {{"V.Get", counts_of(9, 1s)}}}},
        {{7, 3, 2, {{"V.Create", counts_of(2, 2ms)}, {"V.Get", counts_of(6, 4ms)}}}, {3, 1, 0, {}}},
    });
    const auto merged = counts.merged();
    REQUIRE(merged.size() == 3);  // id 100 is nobody's any more
    CHECK(merged[0].name == "a");
    CHECK(merged[0].counts.connections == 1);
    CHECK(merged[0].counts.methods.empty());
    const PluginCounts& b = merged[1].counts;
    CHECK(b.connections == 5);
    CHECK(b.idle_upstreams == 3);
    REQUIRE(b.methods.size() == 3);
    CHECK(b.methods[0].name == "V.Create");
    CHECK(b.methods[1].name == "V.Get");
    CHECK(ended(b.methods[1].counts, Outcome::ok) == 11);
    CHECK(b.methods[1].counts.in_flight == 2);
    CHECK(b.methods[1].counts.durations.max() == 4ms);
    CHECK(ended(b.total(), Outcome::ok) == 14);
    CHECK(b.total().answer_bytes == 28);
    CHECK(BrokerCounts{counts.plugins, nullptr, {}}.merged().size() == 3);
}

}  // namespace
}  // namespace brokerd
