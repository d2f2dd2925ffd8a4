#include "daemon/core/health_probe.h"

#include <catch2/catch.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "tests/fakes/fake_scheduler.h"

using namespace brokerd;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using Kind = HandshakeReply::Kind;

namespace {

constexpr const char* kVolume = R"({"Implements":["VolumeDriver"]})";

/// A plugin that answers when a test says so.
class HeldTransport final : public PluginTransport {
public:
    std::unique_ptr<Call> handshake(std::chrono::milliseconds limit,
                                    std::function<void(HandshakeReply)> done) override {
        ++calls;
        last_limit = limit;
        done_ = std::move(done);
        return std::make_unique<Held>(*this);
    }
    [[nodiscard]] bool is_asked() const { return done_ != nullptr; }
    void reply(HandshakeReply answer) { std::exchange(done_, nullptr)(std::move(answer)); }

    int calls = 0;
    std::chrono::milliseconds last_limit{0};

private:
    struct Held final : Call {
        explicit Held(HeldTransport& transport) : owner{transport} {}
        ~Held() override { owner.done_ = nullptr; }
        HeldTransport& owner;
    };
    std::function<void(HandshakeReply)> done_;
};

struct HealthFixture {
    FakeScheduler time;
    HeldTransport plugin;
    std::vector<std::pair<bool, std::string>> told;
    std::optional<HealthProbe> probe;

    HealthFixture() {
        probe.emplace(time, plugin, HealthSettings{},
                      [this](bool healthy, const std::string& reason) { told.emplace_back(healthy, reason); });
    }
    void answer(unsigned status = 200, std::string body = kVolume) {
        time.advance(30s);
        REQUIRE(plugin.is_asked());
        plugin.reply({Kind::answered, status, std::move(body), {}});
    }
    void fail(Kind kind = Kind::unreachable, std::string reason = "no answer within 10 s") {
        time.advance(30s);
        REQUIRE(plugin.is_asked());
        plugin.reply({kind, 0, {}, std::move(reason)});
    }
};

}  // namespace

TEST_CASE_METHOD(HealthFixture, "a plugin that answers is healthy, and asked every 30 s", "[core]") {
    time.advance(1h);
    CHECK(plugin.calls == 0);
    probe->start();
    probe->start();
    time.advance(29'999ms);
    CHECK(plugin.calls == 0);
    for (int count = 1; count < 10; ++count) {
        answer();
        CHECK(plugin.calls == count);
    }
    CHECK(plugin.last_limit == 10s);
    CHECK(probe->healthy());
    CHECK(told.empty());
}

TEST_CASE_METHOD(HealthFixture, "three failures in a row make it unhealthy, one success healthy again", "[core]") {
    probe->start();
    fail();
    fail();
    answer();
    fail();
    fail();
    CHECK(told.empty());
    CHECK(probe->reason().empty());
    fail(Kind::refused, "certificate expired");
    REQUIRE(told.size() == 1);
    CHECK(told[0] == std::pair{false, std::string{"it has not answered 3 handshakes in a row: certificate expired"}});
    CHECK_FALSE(probe->healthy());
    fail();
    CHECK(told.size() == 1);
    CHECK(probe->reason() == "it has not answered 4 handshakes in a row: no answer within 10 s");
    answer();
    REQUIRE(told.size() == 2);
    CHECK(told[1] == std::pair{true, std::string{}});
    fail();
    fail();
    CHECK(told.size() == 2);
}

TEST_CASE_METHOD(HealthFixture, "an answer that is no manifest is a failure", "[core]") {
    probe->start();
    answer(500, "out of luck\x1b");
    answer(200, "not json");
    SECTION("another status") {
        answer(500, "out of luck\x1b");
        REQUIRE(told.size() == 1);
        CHECK_THAT(told[0].second, Contains("status 500 instead of 200: out of luck\\x1b"));
    }
    SECTION("not HTTP") {
        fail(Kind::malformed, "it is no HTTP");
        REQUIRE(told.size() == 1);
        CHECK_THAT(told[0].second, Contains("it is no HTTP"));
    }
}

TEST_CASE_METHOD(HealthFixture, "a plugin that does not run is not asked, and begins anew", "[core]") {
    probe->start();
    for (int i = 0; i < 3; ++i) fail();
    CHECK_FALSE(probe->healthy());
    SECTION("stopped between probes") {}
    SECTION("stopped during one") {
        time.advance(30s);
    }
    probe->stop();
    CHECK_FALSE(plugin.is_asked());
    const int calls = plugin.calls;
    time.advance(1h);
    CHECK(plugin.calls == calls);
    probe->start();
    CHECK(probe->healthy());
    CHECK(probe->reason().empty());
    fail();
    fail();
    CHECK(told.size() == 1);
    answer();
    CHECK(told.size() == 1);
}

TEST_CASE_METHOD(HealthFixture, "who hears of it may end the probe", "[core]") {
    const bool destroy = GENERATE(false, true);
    std::string heard;
    probe.emplace(time, plugin, HealthSettings{}, [&](bool, const std::string& reason) {
        destroy ? probe.reset() : probe->stop();
        heard = reason;
    });
    probe->start();
    for (int i = 0; i < 3; ++i) fail();
    CHECK_THAT(heard, Contains("3 handshakes"));
    time.advance(1h);
    CHECK(plugin.calls == 3);
}

TEST_CASE_METHOD(HealthFixture, "an interval of nothing asks nothing", "[core]") {
    probe.emplace(time, plugin, HealthSettings{0ms, 10s, 3}, nullptr);
    probe->start();
    time.advance(1h);
    CHECK(plugin.calls == 0);
    CHECK(probe->healthy());
}

TEST_CASE_METHOD(HealthFixture, "another interval holds from now on", "[core]") {
    probe->set_interval(5s);  // not started: nothing happens
    probe->start();
    time.advance(5s);
    CHECK(plugin.calls == 1);
    plugin.reply({Kind::answered, 200, kVolume, {}});
    probe->set_interval(60s);
    time.advance(59s);
    CHECK(plugin.calls == 1);
    probe->set_interval(2s);
    time.advance(2s);
    CHECK(plugin.calls == 2);
    probe->set_interval(1s);  // one probe at a time
    time.advance(5s);
    CHECK(plugin.calls == 2);
    CHECK(told.empty());
}

TEST_CASE_METHOD(HealthFixture, "without probes a plugin counts as healthy", "[core]") {
    probe->start();
    for (int i = 0; i < 3; ++i) fail();
    REQUIRE(told.size() == 1);
    probe->set_interval(0s);
    REQUIRE(told.size() == 2);
    CHECK(told.back() == std::pair{true, std::string{}});
    CHECK(probe->healthy());
    time.advance(1h);
    CHECK(plugin.calls == 3);
    probe->set_interval(30s);
    time.advance(30s);
    CHECK(plugin.calls == 4);
}
