#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/os/unique_fd.h"
#include "daemon/metrics/call_meter.h"
#include "daemon/proxy/client.h"
#include "daemon/proxy/idle_pool.h"
#include "daemon/proxy/route.h"
#include "daemon/proxy/upstream.h"

namespace brokerd {

/// What a proxy thread has to tell the core of a plugin. Called on the proxy's thread; must hand over by message.
struct RouteReports {
    /// A request has arrived for a plugin that is not active yet.
    std::function<void(std::uint64_t id)> wanted;
    /// No connection to `target` could be made, for this reason; the thread holds requests back until the next Route.
    std::function<void(std::uint64_t id, std::shared_ptr<const Target> target, std::string reason, bool refused)> down;
    /// The plugin has closed an idle connection or failed in a call: it may have been restarted.
    std::function<void(std::uint64_t id, std::shared_ptr<const Target> target)> suspect;
    /// An engine asked for a capability that the plugin does not have.
    std::function<void(std::uint64_t id, std::string capability)> lacking;
};

/// One plugin on one proxy thread: its listening sockets, its clients, and its idle upstream connections.
/// Thread: that proxy thread's.
class RouteSlot final : public Deadline, private IdleKeeper {
public:
    RouteSlot(ThreadContext& context, const RouteReports& reports, std::shared_ptr<const Route> route);
    ~RouteSlot() override;

    /// Listens on this one, too.
    void add(std::shared_ptr<const UniqueFd> listener);
    /// Serves a connection that somebody has accepted, non-blocking.
    void adopt(UniqueFd connected);
    void set_route(std::shared_ptr<const Route> route);
    /// Stops listening; `emptied` is called once the last client has gone, perhaps at once.
    void withdraw(std::function<void()> emptied);
    /// Accepts no more, and lets each client finish what it is at; `drained` is called once no client is left, perhaps
    /// at once. The sockets stay open.
    void drain(std::function<void()> drained);
    /// While it drains: the requests that are left are answered with an error, as far as no answer has begun.
    void cut_off();

    /// The context's number of clients has changed.
    void on_limits_changed();

    [[nodiscard]] const Route& route() const noexcept { return *route_; }
    /// Whether a request may be forwarded now.
    [[nodiscard]] bool is_open() const noexcept { return route_->state == Route::State::active && !suspended_; }

    /// Counts this plugin's calls on this thread, for as long as the slot lives.
    [[nodiscard]] PluginMeter& meter() noexcept { return meter_; }
    [[nodiscard]] const PluginMeter& meter() const noexcept { return meter_; }
    [[nodiscard]] std::size_t client_count() const noexcept { return clients_.size(); }
    [[nodiscard]] std::size_t idle_count() const noexcept { return idle_.size(); }

    [[nodiscard]] IdlePool& idle() noexcept { return idle_; }
    /// Keeps a connection to be used again, if it leads where calls go now.
    void park(std::shared_ptr<Upstream> upstream);
    /// Keeps the connection that a handshake went over, for the route that follows from it.
    void park_handshaken(std::shared_ptr<Upstream> upstream);

    // Told by clients:
    void note_wanted();
    void note_down(const std::shared_ptr<const Target>& target, const std::string& reason, bool refused);
    void note_call_failed(const std::shared_ptr<const Target>& target);
    void note_lacking(const std::string& capability);
    void note_closed(Client& client);
    /// A client is closed because it takes nothing of an answer.
    void tell_unread();

    void on_deadline() override;

private:
    /// One of the sockets, as the loop knows it. Lives as long as the slot.
    class Listener final : public EventHandler {
    public:
        Listener(RouteSlot& slot, std::shared_ptr<const UniqueFd> socket) : slot_{slot}, socket_{std::move(socket)} {}
        void on_events(std::uint32_t) override { slot_.accept_some(fd()); }
        [[nodiscard]] int fd() const noexcept { return socket_ ? socket_->get() : -1; }
        void close() noexcept { socket_.reset(); }

    private:
        RouteSlot& slot_;
        std::shared_ptr<const UniqueFd> socket_;
    };

    /// Comes when most of many clients have gone.
    class Ebb final : public Deadline {
    public:
        void on_deadline() override;

        std::size_t peak = 0;  ///< of clients, since it came last
    };

    [[nodiscard]] bool is_full() const noexcept { return clients_.size() >= context_.clients_per_socket; }
    void listen();
    void stop_listening();
    void accept_some(int listener);
    void tell_full();
    void tell_clients(void (Client::*what)());
    void on_idle_end(Upstream& ended) override;
    void drop_idle();

    ThreadContext& context_;
    const RouteReports& reports_;
    std::vector<std::unique_ptr<Listener>> listeners_;
    std::shared_ptr<const Route> route_;
    bool listening_ = false;
    bool suspended_ = false;  ///< told the core that the plugin is down; its next Route decides
    bool wanted_ = false;
    EventLoop::Clock::time_point warned_{};  ///< of descriptors running out
    std::optional<EventLoop::Clock::time_point> told_full_;
    std::optional<EventLoop::Clock::time_point> told_unread_;
    PluginMeter meter_;
    std::unordered_map<Client*, std::shared_ptr<Client>> clients_;  // after meter_, which they count into
    IdlePool idle_;
    std::shared_ptr<Upstream> handshaken_;
    std::function<void()> emptied_;
    std::function<void()> drained_;
    bool draining_ = false;
    Ebb ebb_;
};

}  // namespace brokerd
