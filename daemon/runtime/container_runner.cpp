#include "daemon/runtime/container_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "daemon/bundle/seccomp_profile.h"
#include "daemon/loop/log.h"
#include "daemon/loop/log_entry.h"
#include "daemon/loop/workers.h"
#include "daemon/runtime/bundle_directory.h"
#include "daemon/runtime/cancellation.h"
#include "daemon/runtime/container_jobs.h"
#include "daemon/runtime/socket_diagnosis.h"
#include "daemon/runtime/watched_container.h"

namespace brokerd {
namespace {

/// Ours: so many plugins may hang in the OCI runtime at once before another one has to wait.
constexpr std::size_t kMostThreads = 64;

/// What a job returns where it throws: nothing that anybody planned for (no memory left).
template <class Value, class Job>
Result<Value> guarded(Job job) {
    try {
        return job();
    } catch (const std::exception& error) {
        return fail(fmt::format("brokerd could not do it: {}", error.what()));
    }
}

void warn_that_none_runs(const std::string& reason) {
    log_entry({LogLevel::warning,
               fmt::format("managed plugins cannot run: {}", reason),
               message::kCannotRunPlugins,
               {{"REASON", reason}}});
}

}  // namespace

class ContainerRunner::Impl {
public:
    Impl(CoreLoop& loop, const RuntimeSettings& settings)
        : loop_{loop}, settings_{settings}, jobs_{settings, cancellation_}, workers_{loop, kMostThreads} {}
    ~Impl() {
        alive_.reset();
        cancellation_.cancel();  // before the workers are waited for
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void begin();
    void use_runtime(std::string path_or_name);
    void start(PluginRecordPtr plugin, Started started, Ended ended);
    void adopt(const std::string& id, Started started, Ended ended);
    void finish(const std::string& id, std::shared_ptr<const RunningContainer> container,
                std::function<void(PluginExit)> then);
    void kill_all(const std::string& id);
    /// Calls `then` with the result on the core loop, unless this is gone by then. Not in the turn of any plugin.
    template <class Job, class Then>
    void run(Job job, Then then) {
        workers_.run(std::move(job),
                     [alive = std::weak_ptr<bool>{alive_}, then = std::move(then)](auto result) mutable {
                         if (!alive.expired()) then(std::move(result));
                     });
    }

    [[nodiscard]] CoreLoop& loop() const noexcept { return loop_; }
    [[nodiscard]] const ContainerJobs& jobs() const noexcept { return jobs_; }
    [[nodiscard]] const std::vector<std::string>& survivors() const noexcept { return survivors_; }
    [[nodiscard]] std::string problem() const;
    [[nodiscard]] std::string description() const;

private:
    /// Asks, in the background, what there is on this host.
    void look_around();
    /// Jobs for one plugin are done one after the other.
    template <class Job, class Then>
    void in_turn(const std::string& id, Job job, Then then);
    void next_turn(const std::string& id);
    void deliver(const std::string& id, Result<RunningContainer> result, const Started& started, Ended ended);

    CoreLoop& loop_;
    const RuntimeSettings settings_;
    const Cancellation cancellation_;
    ContainerJobs jobs_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    std::map<std::string, std::deque<std::function<void()>>> turns_;  ///< by ID; the first of each is under way
    std::vector<std::string> survivors_;
    std::string host_problem_;
    std::string version_;
    std::optional<CgroupDriver> driver_;
    Workers workers_;  ///< the last: its jobs use what is above
};

template <class Job, class Then>
void ContainerRunner::Impl::in_turn(const std::string& id, Job job, Then then) {
    auto& turns = turns_[id];
    turns.push_back([this, id, job = std::move(job), then = std::move(then)] {
        run(job, [this, id, then](auto result) {
            next_turn(id);
            then(std::move(result));
        });
    });
    if (turns.size() == 1) turns.front()();
}

void ContainerRunner::Impl::next_turn(const std::string& id) {
    const auto turns = turns_.find(id);
    turns->second.pop_front();
    if (turns->second.empty()) {
        turns_.erase(turns);
    } else {
        turns->second.front()();
    }
}

void ContainerRunner::Impl::begin() {
    for (const char* const directory : {"/exec", "/bundles", "/runtime-state"}) {
        const auto made = make_private_directories(settings_.runtime_root + directory);
        if (!made) warn_that_none_runs(made.error().message);
    }
    // Those that have ended meanwhile, too: their adoption clears away what they left, and whoever stops or removes
    // them waits for that.
    for (const ContainerJobs::Found& found : jobs_.find_bundles()) {
        if (!found.lives) {
            log_entry({LogLevel::info,
                       fmt::format("plugin {} ended while brokerd was away", found.id),
                       {},
                       {{"PLUGIN_ID", found.id}}});
        }
        survivors_.push_back(found.id);
    }
    look_around();
}

void ContainerRunner::Impl::use_runtime(std::string path_or_name) {
    if (path_or_name == jobs_.runtime_name()) return;
    jobs_.use_runtime(std::move(path_or_name));
    version_.clear();
    host_problem_.clear();
    look_around();
}

void ContainerRunner::Impl::look_around() {
    run(
        [this] {
            return std::pair{jobs_.runtime().probe(), jobs_.cgroup_driver()};
        },
        [this, asked = jobs_.runtime_name()](std::pair<Result<RuntimeVersion>, CgroupDriver> found) {
            driver_ = found.second;
            if (asked != jobs_.runtime_name()) return;  // another one has been chosen meanwhile
            if (found.first) {
                version_ = found.first->str();
            } else {
                host_problem_ = found.first.error().message;
                warn_that_none_runs(host_problem_);
            }
        });
}

void ContainerRunner::Impl::deliver(const std::string& id, Result<RunningContainer> result, const Started& started,
                                    Ended ended) {
    if (!result) return started(fail(result.error()));
    started(std::unique_ptr<RunningPlugin>{std::make_unique<WatchedContainer>(
        loop_, *std::move(result),
        [this, id](auto container, auto then) { finish(id, std::move(container), std::move(then)); },
        [this, id] { kill_all(id); }, std::move(ended))});
}

void ContainerRunner::Impl::start(PluginRecordPtr plugin, Started started, Ended ended) {
    in_turn(
        plugin->id, [this, plugin] { return guarded<RunningContainer>([&] { return jobs_.start(*plugin); }); },
        [this, id = plugin->id, started = std::move(started), ended = std::move(ended)](auto result) {
            deliver(id, std::move(result), started, ended);
        });
}

void ContainerRunner::Impl::adopt(const std::string& id, Started started, Ended ended) {
    in_turn(
        id, [this, id] { return guarded<RunningContainer>([&] { return jobs_.adopt(id); }); },
        [this, id, started = std::move(started), ended = std::move(ended)](auto result) {
            deliver(id, std::move(result), started, ended);
        });
}

void ContainerRunner::Impl::finish(const std::string& id, std::shared_ptr<const RunningContainer> container,
                                   std::function<void(PluginExit)> then) {
    in_turn(
        id, [this, id, container] { return guarded<PluginExit>([&] { return jobs_.finish(id, *container); }); },
        [then = std::move(then)](Result<PluginExit> exit) {
            then(exit ? *std::move(exit) : PluginExit{{}, 0, false, exit.error().message, {}});
        });
}

void ContainerRunner::Impl::kill_all(const std::string& id) {
    run(
        [this, id] {
            return guarded<bool>([&] {
                jobs_.kill_all(id);
                return true;
            });
        },
        [](const Result<bool>&) {});
}

std::string ContainerRunner::Impl::problem() const {
    if (const auto shim = jobs_.shim(); !shim) return shim.error().message;
    const auto runtime = OciRuntime{jobs_.runtime_name(), {}, false, cancellation_}.path();
    return runtime ? host_problem_ : runtime.error().message;
}

std::string ContainerRunner::Impl::description() const {
    std::string text = version_.empty() ? jobs_.runtime_name() : version_;
    if (driver_) text += *driver_ == CgroupDriver::systemd ? ", cgroups by systemd" : ", cgroups by the runtime";
    return text + (jobs_.logs_to_journal() ? ", logs in the journal" : ", logs in files");
}

ContainerRunner::ContainerRunner(CoreLoop& loop, const RuntimeSettings& settings)
    : impl_{std::make_unique<Impl>(loop, settings)} {
    impl_->begin();
}

ContainerRunner::~ContainerRunner() = default;

void ContainerRunner::start(PluginRecordPtr plugin, Started started, Ended ended) {
    impl_->start(std::move(plugin), std::move(started), std::move(ended));
}

std::vector<std::string> ContainerRunner::survivors() {
    return impl_->survivors();
}

void ContainerRunner::adopt(const std::string& id, Started started, Ended ended) {
    impl_->adopt(id, std::move(started), std::move(ended));
}

void ContainerRunner::use_runtime(std::string path_or_name) {
    impl_->use_runtime(std::move(path_or_name));
}

std::string ContainerRunner::problem() const {
    return impl_->problem();
}

std::string ContainerRunner::description() const {
    return impl_->description();
}

void ContainerRunner::why_not_listening(pid_t pid, const std::string& id, const std::string& socket,
                                        const std::string& last_try, std::function<void(std::string sentence)> then) {
    impl_->run([pid, exec = impl_->jobs().places(id).exec, socket,
                last_try] { return brokerd::why_not_listening(pid, exec, socket, last_try); },
               std::move(then));
}

}  // namespace brokerd
