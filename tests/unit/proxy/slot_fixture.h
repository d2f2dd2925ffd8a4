#pragma once

#include <netinet/in.h>

#include <charconv>

#include "tests/unit/no_more_descriptors.h"
#include "tests/unit/proxy/proxy_fixture.h"

namespace brokerd::test {

/// A port of the loopback interface where the test listens.
struct TcpListener {
    UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    std::string url;

    TcpListener() {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        REQUIRE(::bind(socket.get(), generic, size) == 0);
        REQUIRE(::listen(socket.get(), 64) == 0);
        REQUIRE(::getsockname(socket.get(), generic, &size) == 0);
        url = "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    }
};

/// One plugin on a proxy thread that is the test's own: everything happens in turn(), and in an order that the test
/// chooses. The proxy that it inherits has nothing to do.
struct SlotFixture : ProxyFixture {
    SlotFixture() { add(path); }
    ~SlotFixture() {
        slot.reset();
        context.loop.release_retired();
    }

    void add(const std::string& at) { slot->add(std::make_shared<const UniqueFd>(listen_at(at))); }

    std::shared_ptr<Route> waiting(std::chrono::milliseconds limit = std::chrono::seconds{60}) {
        auto made = route();
        made->state = Route::State::waiting;
        made->target = nullptr;
        made->wait_limit = limit;
        return made;
    }
    std::shared_ptr<Route> failed(const std::string& reason) {
        auto made = waiting();
        made->state = Route::State::failed;
        made->reason = reason;
        return made;
    }

    /// Handles what is ready, and no more.
    void turn() {
        context.loop.stop();
        context.loop.run([this] { context.deadlines.expire(); });
    }
    [[nodiscard]] bool until(const std::function<bool()>& done) {
        const auto end = EventLoop::Clock::now() + std::chrono::seconds{20};
        while (!done() && EventLoop::Clock::now() < end) turn();
        return done();
    }
    /// Does this at the end of the next turn's events, before anything is written.
    void before_writing(std::function<void()> then) {
        interruption.then = std::move(then);
        context.loop.post([this] { context.loop.defer(interruption); });
    }
    void turn_some() {
        for (int i = 0; i < 10; ++i) turn();
    }

    /// An engine whose connection has been accepted.
    Peer engine() {
        const std::size_t before = slot->client_count();
        Peer made = Peer::connect(path);
        REQUIRE(until([&] { return slot->client_count() > before; }));
        return made;
    }
    Peer engine_that_sends(std::string_view bytes) {
        Peer made = engine();
        REQUIRE(made.send(bytes));
        return made;
    }
    /// The next connection to the plugin, seen from there.
    Peer accepted() {
        REQUIRE(until([&] { return is_ready(plugin); }));
        return Peer::accept(plugin);
    }
    static bool is_ready(const UniqueFd& socket) {
        pollfd ready{socket.get(), POLLIN, 0};
        return ::poll(&ready, 1, 0) == 1;
    }
    /// A request without a body, or with one of two bytes.
    std::string asked(Peer& at_plugin) {
        REQUIRE(until([&] { return at_plugin.is_readable(); }));
        std::string request = at_plugin.read_until("\r\n\r\n");
        if (request.find("Content-Length: 2\r\n") != std::string::npos) request += at_plugin.read(2);
        return request;
    }
    /// Head and body of what the engine is answered; with `is_whole` false, what there is until the connection ends.
    std::string answered(Peer& at_engine, bool is_whole = true) {
        REQUIRE(until([&] { return is_whole ? at_engine.is_readable() : !at_engine.look(); }));
        if (!is_whole) return at_engine.read_to_end();
        std::string text = at_engine.read_until("\r\n\r\n");
        constexpr std::string_view kLength = "Content-Length: ";
        const std::size_t at = text.find(kLength);
        std::size_t length = 0;
        if (at != std::string::npos) std::from_chars(&text[at + kLength.size()], text.data() + text.size(), length);
        return text + at_engine.read(length);
    }
    /// A whole call on this connection; `at_plugin`: where the plugin has it, accepted if it is none.
    void call(Peer& at_engine, std::optional<Peer>& at_plugin) {
        REQUIRE(at_engine.send(request("List")));
        if (!at_plugin) at_plugin.emplace(accepted());
        CHECK_THAT(asked(*at_plugin), Catch::StartsWith("POST /VolumeDriver.List "));
        REQUIRE(at_plugin->send(answer("{}")));
        CHECK_THAT(answered(at_engine), Catch::StartsWith("HTTP/1.1 200 OK\r\n"));
    }

    std::vector<std::string> told;  ///< what the slot reports
    RouteReports notes{[this](std::uint64_t) { told.emplace_back("wanted"); },
                       [this](std::uint64_t, const auto&, const std::string& reason, bool refused) {
                           told.push_back((refused ? "refused: " : "down: ") + reason);
                       },
                       [this](std::uint64_t, const auto&) { told.emplace_back("suspect"); },
                       [this](std::uint64_t, const std::string& capability) { told.push_back("lacks " + capability); }};
    ThreadContext context{16, std::chrono::seconds{30}, std::chrono::seconds{600}};
    struct Interruption final : Deferred {
        void on_batch_end() override { then(); }
        std::function<void()> then;
    };
    Interruption interruption;
    std::string path = directory / "slot.sock";
    std::optional<RouteSlot> slot{std::in_place, context, notes, route()};
};

}  // namespace brokerd::test
