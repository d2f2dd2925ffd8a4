#include "daemon/proxy/idle_pool.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "tests/unit/loop/loop_fixture.h"

using namespace brokerd;

namespace {

/// Connects, and nothing more.
struct Connecting final : UpstreamUser {
    void on_upstream_ready() override { ready = true; }
    void on_connect_failed(const std::string&, ConnectFailure) override {}
    void on_response_head(const HttpHead&) override {}
    std::size_t take_body(std::string_view piece) override { return piece.size(); }
    void on_response_end(bool) override {}
    void on_upstream_failed(const std::string&, bool) override {}
    void on_upstream_room() override {}
    void on_upstream_turn_end() override {}
    bool ready = false;
};

/// A plugin that accepts connections and says nothing.
struct Plugin {
    Plugin() {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string path = directory / "p.sock";
        std::copy(path.begin(), path.end(), address.sun_path);
        listener = UniqueFd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(listener.get(), 64) == 0);
        const auto endpoint = Endpoint::parse("unix://" + path);
        REQUIRE(endpoint);
        const auto prepared = Target::prepare(*endpoint);
        REQUIRE(prepared);
        target = *prepared;
    }

    test::TemporaryDirectory directory;
    UniqueFd listener;
    std::shared_ptr<const Target> target;
};

std::shared_ptr<Upstream> connected(ThreadContext& context, const Plugin& plugin) {
    Connecting user;
    auto upstream = std::make_shared<Upstream>(context, plugin.target);
    upstream->connect(user);
    REQUIRE(user.ready);
    return upstream;
}

}  // namespace

TEST_CASE("the connection used last is taken first", "[proxy]") {
    ThreadContext context{16, std::chrono::seconds{30}, std::chrono::seconds{600}};
    const Plugin plugin;
    IdlePool pool{context, [](const auto&) {}};
    CHECK(pool.take() == nullptr);
    const auto first = connected(context, plugin);
    const auto second = connected(context, plugin);
    pool.put(first);
    pool.put(second);
    CHECK(pool.take() == second);
    CHECK(pool.take() == first);
    CHECK(pool.take() == nullptr);
}

TEST_CASE("connections that nobody needed for a period are closed, but for one", "[proxy]") {
    ThreadContext context{16, std::chrono::seconds{30}, std::chrono::seconds{600}};
    const Plugin plugin;
    IdlePool pool{context, [](const auto&) {}};
    for (int i = 0; i < 6; ++i) pool.put(connected(context, plugin));
    pool.on_deadline();
    CHECK(pool.size() == 6);  // they came within this period
    auto one = pool.take();
    auto two = pool.take();
    pool.put(std::move(one));
    pool.put(std::move(two));
    pool.on_deadline();
    CHECK(pool.size() == 2);  // as many as were busy at once
    pool.on_deadline();
    CHECK(pool.size() == 1);
    pool.on_deadline();
    CHECK(pool.size() == 1);
}

TEST_CASE("the end of an idle connection is told once", "[proxy]") {
    ThreadContext context{16, std::chrono::seconds{30}, std::chrono::seconds{600}};
    const Plugin plugin;
    int told = 0;
    IdlePool pool{context, [&](const auto& target) {
                      CHECK(target == plugin.target);
                      ++told;
                  }};
    const auto upstream = connected(context, plugin);
    pool.put(upstream);
    { const UniqueFd accepted{::accept(plugin.listener.get(), nullptr, nullptr)}; }
    upstream->on_events(EPOLLIN | EPOLLRDHUP);
    CHECK(told == 1);
    CHECK(pool.size() == 0);
    upstream->on_events(EPOLLHUP);
    CHECK(told == 1);
}

TEST_CASE("a connection that the plugin has closed meanwhile is not taken", "[proxy]") {
    ThreadContext context{16, std::chrono::seconds{30}, std::chrono::seconds{600}};
    const Plugin plugin;
    int told = 0;
    IdlePool pool{context, [&](const auto&) { ++told; }};
    const auto gone = connected(context, plugin);
    const auto other = connected(context, plugin);
    { const UniqueFd accepted{::accept(plugin.listener.get(), nullptr, nullptr)}; }
    gone->channel().note(EPOLLIN | EPOLLRDHUP);
    gone->channel().fill(true);
    REQUIRE(gone->channel().ended);
    pool.put(other);
    pool.put(gone);
    CHECK(pool.take() == other);
    CHECK(pool.size() == 0);
    CHECK(told == 0);
}

TEST_CASE("no more connections than the pool may have are kept", "[proxy]") {
    ThreadContext context{16, std::chrono::seconds{30}, std::chrono::seconds{600}};
    const Plugin plugin;
    IdlePool pool{context, [](const auto&) {}};
    for (std::size_t i = 0; i <= IdlePool::kMaxIdle; ++i) {
        pool.put(connected(context, plugin));
        const UniqueFd accepted{::accept(plugin.listener.get(), nullptr, nullptr)};
        CHECK(pool.size() == std::min(i + 1, IdlePool::kMaxIdle));
    }
}
