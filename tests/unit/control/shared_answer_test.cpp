#include <catch2/catch.hpp>
#include <list>

#include "tests/unit/control/control_fixture.h"

// Questions that many ask at the same time, and what becomes of those who do not read the answer.

using namespace brokerd;
using namespace brokerd::test;
using namespace std::chrono_literals;

namespace {

/// Keeps the core busy while it is there.
class BusyCore {
public:
    explicit BusyCore(CoreLoop& loop) {
        loop.post([end = std::make_shared<std::future<void>>(end_.get_future())] { end->wait(); });
    }
    ~BusyCore() { end_.set_value(); }

private:
    std::promise<void> end_;
};

void ask(Client& client, const std::string& target) {
    client.send("GET " + target + " HTTP/1.1\r\n\r\n");
}

}  // namespace

TEST_CASE("a list that many wait for is made once, and once more for those who have come meanwhile", "[control]") {
    ControlFixture broker;
    broker.add(plugin("driver", "active", {"VolumeDriver"}));
    broker.add(plugin("network", "failed", {"NetworkDriver"}));
    std::list<Client> all, active;
    {
        const BusyCore busy{broker.loop};
        for (int i = 0; i < 50; ++i) {
            ask(all.emplace_back(broker.connect()), "/broker/v1/plugins");
            ask(active.emplace_back(broker.connect()), "/broker/v1/plugins?state=active");
        }
        CHECK(broker.connect().get("/_ping").status == 200);  // by now all of them have been heard
    }
    for (Client& client : all) CHECK(client.receive().json()["Plugins"].Size() == 2);
    for (Client& client : active) CHECK(client.receive().json()["Plugins"].Size() == 1);
    CHECK(broker.on_loop([&] { return broker.core.lists; }) == 2);
}

TEST_CASE("who asks after a change is told of it, whoever has asked before", "[control]") {
    ControlFixture broker;
    for (int i = 0; i < 100; ++i) {
        Client before = broker.connect();
        ask(before, "/broker/v1/plugins");
        broker.add(plugin(std::to_string(i), "active"));
        CHECK(broker.connect().get("/broker/v1/plugins").json()["Plugins"].Size() == static_cast<unsigned>(i + 1));
        CHECK(before.receive().status == 200);
    }
}

TEST_CASE("a question that fails is told to all who have asked it, and can be asked again", "[control]") {
    ControlFixture broker;
    broker.on_loop([&] { broker.core.throws = true; });
    std::list<Client> clients;
    {
        const BusyCore busy{broker.loop};
        for (int i = 0; i < 5; ++i) ask(clients.emplace_back(broker.connect()), "/broker/v1/plugins");
        CHECK(broker.connect().get("/_ping").status == 200);
    }
    for (Client& client : clients) {
        const Reply reply = client.receive();
        CHECK(reply.status == 500);
        CHECK(reply.message().find("list is broken") != std::string::npos);
    }
    broker.on_loop([&] { broker.core.throws = false; });
    CHECK(broker.connect().get("/broker/v1/plugins").status == 200);
}

TEST_CASE("an answer that many do not take is there once, and keeps nobody from the same", "[control]") {
    ControlServer::Settings settings;
    settings.limits.owing = 1h;  // nobody makes room
    settings.limits.unread = 10'000'000;
    ControlFixture broker{settings};
    PluginView large = plugin("large", "active");
    large.reason.assign(4'000'000, 'x');
    broker.add(large);
    std::list<Client> deaf;
    for (int i = 0; i < 40; ++i) ask(deaf.emplace_back(broker.connect()), "/broker/v1/plugins");
    CHECK(broker.connect().get("/broker/v1/plugins").status == 200);
    // What differs is there apart, and is let go of with its last reader.
    CHECK(broker.connect().get("/broker/v1/plugins?state=active&kind=legacy").status == 200);
    deaf.clear();
    large.reason.back() = 'y';
    broker.add(large);
    CHECK(broker.connect().get("/broker/v1/plugins").body.find("xy") != std::string::npos);
}

TEST_CASE("what nobody waits for any more is not asked", "[control]") {
    const auto target = GENERATE(as<std::string>{}, "/broker/v1/plugins", "/broker/v1/plugins/driver/json");
    ControlFixture broker;
    broker.add(plugin("driver", "active"));
    {
        const BusyCore busy{broker.loop};
        const std::size_t descriptors = descriptor_count();
        {
            std::list<Client> leaving;
            for (int i = 0; i < 20; ++i) ask(leaving.emplace_back(broker.connect()), target);
            CHECK(broker.connect().get("/_ping").status == 200);
        }
        CHECK(eventually([&] { return descriptor_count() <= descriptors; }));
    }
    CHECK(broker.on_loop([&] { return broker.core.lists + broker.core.finds; }) == 0);
    CHECK(broker.connect().get(target).status == 200);
    CHECK(broker.on_loop([&] { return broker.core.lists + broker.core.finds; }) == 1);
}
