#include "daemon/runtime/watched_container.h"

#include <sys/epoll.h>

#include <csignal>
#include <utility>

#include "daemon/runtime/watched_process.h"

namespace brokerd {
namespace {

/// Ours: until a plugin that could not be followed is tried again.
constexpr std::chrono::seconds kFollowPause{1};

}  // namespace

WatchedContainer::WatchedContainer(CoreLoop& loop, RunningContainer container, Finish finish, KillAll kill_all,
                                   PluginRunner::Ended ended, std::chrono::milliseconds shim_patience)
    : loop_{loop},
      container_{std::make_shared<RunningContainer>(std::move(container))},
      finish_{std::move(finish)},
      kill_all_{std::move(kill_all)},
      ended_{std::move(ended)},
      shim_patience_{shim_patience} {
    on_shim_.emplace(loop_, container_->shim.get(), EPOLLIN, [this](std::uint32_t) { begin_end(); });
    follow();
}

void WatchedContainer::terminate() {
    if (is_ending()) return;
    if (!container_->plugin) follow();
    send_signal(container_->plugin, SIGTERM);
}

void WatchedContainer::kill() {
    if (is_ending()) return;
    if (!container_->plugin) follow();
    // A shim whose plugin cannot be signalled is ended in its place; what follows that kills the plugin.
    if (!send_signal(container_->plugin, SIGKILL) && !patience_) expect_shim();
    kill_all_();
}

/// Watches the plugin's process. A shim does not need it, nor does the plugin: to find out here and now is for those
/// shims that hang.
void WatchedContainer::follow() {
    if (!container_->plugin && !patience_) {
        auto opened = open_process(container_->process);
        if (!opened) {
            again_ = loop_.after(kFollowPause, [this] { follow(); });
            return;
        }
        container_->plugin = *std::move(opened);
    }
    again_.reset();
    if (!container_->plugin) return expect_shim();
    on_plugin_.emplace(loop_, container_->plugin.get(), EPOLLIN, [this](std::uint32_t) { expect_shim(); });
}

/// The plugin has ended: so will its shim, which tells how.
void WatchedContainer::expect_shim() {
    on_plugin_.reset();
    again_.reset();
    patience_ = loop_.after(shim_patience_, [this] { begin_end(); });
}

void WatchedContainer::begin_end() {
    on_plugin_.reset();
    on_shim_.reset();
    again_.reset();
    patience_.reset();
    finish_(container_, [this, alive = std::weak_ptr<bool>{alive_}](PluginExit exit) {
        if (alive.expired()) return;
        const PluginRunner::Ended ended = std::move(ended_);  // which may destroy this
        ended(std::move(exit));
    });
}

}  // namespace brokerd
