#include "daemon/activation/activation.h"

#include <catch2/catch.hpp>

#include "tests/fakes/fake_transport.h"

using namespace brokerd;
using namespace std::chrono_literals;
using State = Activation::State;

namespace {

struct Fixture {
    FakeScheduler time;
    FakeTransport plugin{time};
    int changes = 0;
    int manifest_changes = 0;
    Activation activation{time, plugin, {}, [this](bool manifest_changed) {
                              ++changes;
                              if (manifest_changed) ++manifest_changes;
                          }};

    Fixture() { plugin.be_unreachable(); }
};

constexpr const char* kVolume = R"({"Implements":["VolumeDriver"]})";

}  // namespace

TEST_CASE_METHOD(Fixture, "a lazy plugin is left alone until somebody asks", "[activation]") {
    time.advance(60s);
    CHECK(activation.state() == State::discovered);
    CHECK(plugin.calls == 0);
}

TEST_CASE_METHOD(Fixture, "activation waits for a plugin that is still starting", "[activation]") {
    activation.start();
    time.advance(20s);
    CHECK(activation.state() == State::activating);
    plugin.answer(kVolume);
    time.advance(1s);
    CHECK(activation.state() == State::active);
    CHECK(activation.manifest()->implements("VolumeDriver"));
    CHECK(activation.reason().empty());
}

TEST_CASE_METHOD(Fixture, "activation fails after its window with the last reason", "[activation]") {
    activation.start();
    time.advance(29s);
    CHECK(activation.state() == State::activating);
    time.advance(1s + 1ms);
    CHECK(activation.state() == State::failed);
    CHECK(activation.failure() == Activation::Failure::unreachable);
    CHECK(activation.reason() == "nobody listens");
    // 25 ms doubling to 1 s: five short pauses, then about one a second (a quarter less with jitter).
    CHECK(activation.attempts() >= 30);
    CHECK(activation.attempts() <= 50);
}

TEST_CASE_METHOD(Fixture, "another window holds from the next one on", "[activation]") {
    activation.start();
    activation.set_window(5s);
    time.advance(29s);
    CHECK(activation.state() == State::activating);
    plugin.answer(kVolume);
    time.advance(1s);
    REQUIRE(activation.state() == State::active);
    plugin.be_unreachable();
    activation.report_down("it is gone", false);
    time.advance(4s);
    CHECK(activation.state() == State::activating);
    time.advance(1s + 1ms);
    CHECK(activation.state() == State::failed);
}

TEST_CASE_METHOD(Fixture, "a handshake gets no more time than the window has left", "[activation]") {
    plugin.holding = true;
    activation.start();
    CHECK(plugin.last_limit == 30s);
    time.advance(10s);
    plugin.release();
    time.advance(25ms);
    CHECK(plugin.calls == 2);
    CHECK(plugin.last_limit <= 20s);
}

TEST_CASE_METHOD(Fixture, "a failed plugin is probed for ever and returns by itself", "[activation]") {
    activation.start();
    time.advance(300s);
    REQUIRE(activation.state() == State::failed);
    plugin.answer(kVolume);
    time.advance(3s);
    CHECK(activation.state() == State::active);
}

TEST_CASE_METHOD(Fixture, "there is never more than one handshake at a time", "[activation]") {
    plugin.holding = true;
    activation.start();
    for (int i = 0; i < 10; ++i) {
        activation.start();
        activation.poke();
        activation.suspect();
        activation.report_down("x", false);
        time.advance(100ms);
    }
    CHECK(plugin.calls == 1);
    plugin.release();
    time.advance(2ms);
    CHECK(plugin.calls == 2);  // a poke during the first asks for a second
}

TEST_CASE_METHOD(Fixture, "an answer that is no manifest is rejected at once", "[activation]") {
    const auto [body, status] = GENERATE(table<std::string, unsigned>({{"not json", 200},
                                                                       {R"({"Implements":[]})", 200},
                                                                       {R"({"Implements":["Nonsense"]})", 200},
                                                                       {R"({"Implements":"VolumeDriver"})", 200},
                                                                       {kVolume, 500},
                                                                       {kVolume, 404},
                                                                       {kVolume, 201}}));
    plugin.answer(body, status);
    activation.start();
    time.advance(0s);
    CHECK(activation.state() == State::failed);
    CHECK(activation.failure() == Activation::Failure::rejected);
    CHECK_FALSE(activation.reason().empty());
    CHECK_FALSE(activation.manifest());
    // ... and asked again later, because it may be repaired.
    plugin.answer(kVolume);
    time.advance(10s);
    CHECK(activation.state() == State::active);
}

TEST_CASE_METHOD(Fixture, "refused TLS fails at once", "[activation]") {
    plugin.refuse("expired");
    activation.start();
    time.advance(0s);
    CHECK(activation.state() == State::failed);
    CHECK(activation.failure() == Activation::Failure::refused);
    CHECK(activation.reason() == "expired");
}

TEST_CASE_METHOD(Fixture, "when an active plugin goes down the window opens anew", "[activation]") {
    plugin.answer(kVolume);
    activation.start();
    time.advance(100s);
    REQUIRE(activation.state() == State::active);
    plugin.be_unreachable();
    activation.report_down("connection refused", false);
    CHECK(activation.state() == State::activating);
    CHECK(activation.reason() == "connection refused");
    time.advance(29s);
    CHECK(activation.state() == State::activating);
    time.advance(2s);
    CHECK(activation.state() == State::failed);
}

TEST_CASE_METHOD(Fixture, "a restarted plugin that implements something else is a change", "[activation]") {
    plugin.answer(kVolume);
    activation.start();
    time.advance(1s);
    plugin.answer(R"({"Implements":["VolumeDriver","NetworkDriver"]})");
    activation.suspect();
    time.advance(1s);
    CHECK(activation.state() == State::active);
    CHECK(manifest_changes == 1);
    CHECK(activation.manifest()->implements("NetworkDriver"));
}

TEST_CASE_METHOD(Fixture, "a plugin that closes idle connections is asked ever more rarely", "[activation]") {
    plugin.answer(kVolume);
    activation.start();
    time.advance(1s);
    const int before = plugin.calls;
    for (int second = 0; second < 3600; ++second) {
        activation.suspect();
        time.advance(1s);
    }
    CHECK(plugin.calls - before < 75);  // about one a minute
    CHECK(activation.state() == State::active);
}

TEST_CASE_METHOD(Fixture, "a plugin whose socket appears is asked at once", "[activation]") {
    activation.start();
    time.advance(15s);
    const int before = plugin.calls;
    plugin.answer(kVolume);
    activation.poke();
    time.advance(0s);
    CHECK(plugin.calls == before + 1);
    CHECK(activation.state() == State::active);
}

TEST_CASE_METHOD(Fixture, "a handshake with a process of the past is given up when its socket is replaced",
                 "[activation]") {
    plugin.holding = true;
    activation.start();
    time.advance(1s);
    plugin.holding = false;
    plugin.answer(kVolume);
    activation.poke_replaced();
    time.advance(2ms);
    CHECK(plugin.calls == 2);
    CHECK(activation.state() == State::active);
}

TEST_CASE("an activation that is destroyed in mid-handshake is not called back", "[activation]") {
    FakeScheduler time;
    FakeTransport plugin{time};
    plugin.answer(kVolume);
    {
        Activation activation{time, plugin, {}, [](bool) {}};
        activation.start();
    }
    time.advance(60s);
    CHECK(plugin.calls == 1);
}

TEST_CASE_METHOD(Fixture, "a lazy plugin whose socket appears is asked once somebody pokes it", "[activation]") {
    plugin.answer(kVolume);
    const bool replaced = GENERATE(false, true);
    replaced ? activation.poke_replaced() : activation.poke();
    time.advance(0s);
    CHECK(activation.state() == State::active);
}

TEST_CASE_METHOD(Fixture, "an active plugin whose TLS is refused has failed at once", "[activation]") {
    plugin.answer(kVolume);
    activation.start();
    time.advance(1s);
    activation.report_down("its certificate has expired", true);
    CHECK(activation.state() == State::failed);
    CHECK(activation.failure() == Activation::Failure::refused);
    CHECK(activation.reason() == "its certificate has expired");
}

TEST_CASE_METHOD(Fixture, "a plugin that goes down while it is asked is not asked a second time", "[activation]") {
    plugin.answer(kVolume);
    activation.start();
    time.advance(1s);
    plugin.holding = true;
    activation.poke();
    activation.suspect();
    activation.report_down("connection refused", false);
    time.advance(10s);
    CHECK(activation.state() == State::activating);
    CHECK(plugin.calls == 2);
    plugin.release();
    CHECK(activation.state() == State::active);
}

TEST_CASE_METHOD(Fixture, "a window that passes without one outcome says so", "[activation]") {
    plugin.holding = true;
    activation.start();
    time.advance(31s);
    activation.poke_replaced();
    time.advance(2ms);
    CHECK(activation.state() == State::failed);
    CHECK(activation.reason() == "it was not tried in time");
    CHECK(plugin.calls == 1);
}

TEST_CASE_METHOD(Fixture, "an answer that is no HTTP is rejected", "[activation]") {
    plugin.reply = {HandshakeReply::Kind::malformed, 0, {}, "it is no HTTP"};
    activation.start();
    time.advance(0s);
    CHECK(activation.failure() == Activation::Failure::rejected);
    CHECK(activation.reason() == "it is no HTTP");
}

TEST_CASE_METHOD(Fixture, "an error without a body is told by its status", "[activation]") {
    plugin.answer("", 503);
    activation.start();
    time.advance(0s);
    CHECK(activation.reason() == "it answered the handshake with status 503 instead of 200");
}

TEST_CASE_METHOD(Fixture, "a failed plugin whose socket appears during a probe is asked again at once",
                 "[activation]") {
    activation.start();
    time.advance(31s);
    REQUIRE(activation.state() == State::failed);
    plugin.holding = true;
    time.advance(2s);
    const int before = plugin.calls;
    activation.poke();
    plugin.release();
    CHECK(plugin.calls == before);
    time.advance(2ms);
    CHECK(plugin.calls == before + 1);
}
