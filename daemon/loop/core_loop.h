#pragma once

#include <systemd/sd-event.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <type_traits>
#include <utility>

#include "daemon/loop/mailbox.h"
#include "daemon/loop/scheduler.h"

namespace brokerd {

/// The main thread's event loop, on libsystemd's sd-event. Whoever runs it owns all plugin state: code that runs in a
/// callback of this loop may touch the plugin table, nobody else may.
///
/// Thread: construct and run() on one thread; post() and call() from any thread; everything else on the loop's thread.
class CoreLoop final : public Scheduler {
public:
    CoreLoop();
    ~CoreLoop() override;
    CoreLoop(const CoreLoop&) = delete;
    CoreLoop& operator=(const CoreLoop&) = delete;

    /// Dispatches until stop(); returns stop()'s exit code. Feeds systemd's watchdog where the unit asks for it.
    int run();
    /// Ends run() after the current callback.
    void stop(int exit_code);

    /// Runs `work` on the loop's thread, in the order of posting. After the loop has ended, `work` is dropped.
    void post(std::function<void()> work) { posted_.post(std::move(work)); }

    /// Runs `work` on the loop's thread and hands its result over. Any thread but the loop's own may wait for it. Where
    /// the loop ends first, the future holds std::future_error (broken_promise).
    template <class Work>
    [[nodiscard]] auto call(Work work) -> std::future<std::invoke_result_t<Work>> {
        using Value = std::invoke_result_t<Work>;
        auto task = std::make_shared<std::packaged_task<Value()>>(std::move(work));
        auto future = task->get_future();
        post([task] { (*task)(); });
        return future;
    }

    [[nodiscard]] Clock::time_point now() const override { return Clock::now(); }
    [[nodiscard]] std::chrono::system_clock::time_point wall_clock() const override;
    [[nodiscard]] std::unique_ptr<Timer> after(Clock::duration delay, std::function<void()> then) override;

    /// For IoSource and SignalWatch, which wrap the C sources.
    [[nodiscard]] sd_event* handle() const noexcept { return event_; }
    /// The one place that decides about an exception from a callback: it is logged, and the loop goes on.
    void report(std::exception_ptr failure) const noexcept;

private:
    void run_posted();

    sd_event* event_ = nullptr;
    Mailbox<> posted_;
    sd_event_source* wake_up_source_ = nullptr;
    sd_event_source* spare_timer_ = nullptr;
};

}  // namespace brokerd
