// What a path leads to depends on every directory entry that the kernel looks up on the way: "run" in "/", "docker" in
// "/run", and, where an entry is a symbolic link, those of its target. This file walks a path as the kernel does, keeps
// a watch on each of these directories, and takes an interest in one name in each. The walk ends at the first entry
// that is missing, and any event on an interesting entry makes it start again: so it goes down as directories appear
// and up again as they vanish, without a case for either. A directory is watched before its entry is looked at; what
// changes in between is then at least an event.

#include "daemon/loop/path_watch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/os/path_steps.h"
#include "daemon/loop/inotify.h"
#include "daemon/loop/log_entry.h"

namespace brokerd {
namespace {

/// Directories are named by their real path: IN_DONT_FOLLOW keeps a race from leading elsewhere.
constexpr std::uint32_t kMask =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_ONLYDIR | IN_DONT_FOLLOW;

/// `directory` is "" for the root, so that joining needs no case.
void go_up(std::string& directory) {
    const std::size_t slash = directory.rfind('/');
    directory.erase(slash == std::string::npos ? 0 : slash);
}

/// One directory on the way, and the entry of it that matters.
struct Step {
    Inotify::Watch watch;
    std::string name;
};

}  // namespace

class PathWatch::Impl {
public:
    using Id = std::uint64_t;

    Impl(CoreLoop& loop, Contents contents)
        : loop_{loop},
          inotify_{loop, contents == Contents::watched ? kMask | IN_CLOSE_WRITE : kMask,
                   [this](const std::vector<Inotify::Event>& events) { on_events(events); }} {}

    Id add(const std::string& path, std::function<void()> changed, Endpoint::Links links) {
        const Id id = ++last_id_;
        paths_.emplace(id, Path{path, std::move(changed), links, {}});
        walk(id);
        return id;
    }

    void remove(Id id) {
        const auto found = paths_.find(id);
        if (found == paths_.end()) return;
        lose_interest(id, found->second.steps);
        paths_.erase(found);
    }

private:
    struct Path {
        std::string path;
        std::function<void()> changed;
        Endpoint::Links links;
        std::vector<Step> steps;
    };

    void walk(Id id) {
        Path& path = paths_.at(id);
        std::vector<Step> steps = steps_to(path.path, path.links);
        // The new watches exist before the old ones go: the directories on both ways keep theirs.
        lose_interest(id, path.steps);
        for (const Step& step : steps) interests_[step.watch.descriptor()].emplace(step.name, id);
        path.steps = std::move(steps);
    }

    std::vector<Step> steps_to(const std::string& path, Endpoint::Links last) {
        std::vector<Step> steps;
        std::deque<std::string> rest = path_components(path);
        std::string directory;
        unsigned links = 0;
        while (!rest.empty()) {
            std::string name = std::move(rest.front());
            rest.pop_front();
            if (name == "..") {
                go_up(directory);
                continue;
            }
            auto watch = inotify_.watch(directory.empty() ? "/" : directory);
            if (!watch) {
                complain(directory, watch.error());
                break;
            }
            std::string entry = directory;
            entry.append("/").append(name);
            steps.push_back({std::move(*watch), std::move(name)});
            struct stat status {};
            if (lstat(entry.c_str(), &status) != 0) break;
            if (S_ISLNK(status.st_mode)) {
                if ((rest.empty() && last == Endpoint::Links::refused) || ++links > kMaxLinks) break;
                const std::string target = link_target(entry);
                if (!target.empty() && target.front() == '/') directory.clear();
                std::deque<std::string> parts = path_components(target);
                rest.insert(rest.begin(), parts.begin(), parts.end());
            } else if (S_ISDIR(status.st_mode)) {
                directory = entry;
            } else {
                break;
            }
        }
        return steps;
    }

    void complain(const std::string& directory, std::error_code error) {
        // A directory that went away since it was looked at is an event in the one above.
        if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory || complained_) return;
        complained_ = true;
        const bool is_limit = error == std::errc::no_space_on_device;
        log_entry({LogLevel::warning,
                   fmt::format("cannot watch {}: {}{}; changes there are not noticed by themselves", directory,
                               error.message(), is_limit ? " (raise fs.inotify.max_user_watches)" : ""),
                   is_limit ? message::kLimitReached : MessageId{}});
    }

    void lose_interest(Id id, const std::vector<Step>& steps) {
        for (const Step& step : steps) {
            const auto names = interests_.find(step.watch.descriptor());
            if (names == interests_.end()) continue;
            for (auto [at, end] = names->second.equal_range(step.name); at != end;) {
                at = at->second == id ? names->second.erase(at) : std::next(at);
            }
            if (names->second.empty()) interests_.erase(names);
        }
    }

    void on_events(const std::vector<Inotify::Event>& events) {
        std::set<Id> affected;
        for (const Inotify::Event& event : events) {
            if ((event.mask & IN_Q_OVERFLOW) != 0) {
                for (const auto& [id, path] : paths_) affected.insert(id);
                continue;
            }
            const auto names = interests_.find(event.watch);
            if (names == interests_.end()) continue;
            if ((event.mask & (IN_IGNORED | IN_UNMOUNT)) != 0) {
                for (const auto& [name, id] : names->second) affected.insert(id);
                continue;
            }
            const auto [first, last] = names->second.equal_range(std::string{event.name});
            for (auto at = first; at != last; ++at) affected.insert(at->second);
        }
        for (const Id id : affected) tell(id);
    }

    void tell(Id id) {
        const auto found = paths_.find(id);
        if (found == paths_.end()) return;  // given up by an earlier callback
        walk(id);
        // A copy: the callback may end this watch, and with it the function that is running.
        const std::function<void()> changed = found->second.changed;
        try {
            changed();
        } catch (...) {
            loop_.report(std::current_exception());
        }
    }

    CoreLoop& loop_;
    Inotify inotify_;
    Id last_id_ = 0;
    std::map<Id, Path> paths_;
    std::unordered_map<int, std::multimap<std::string, Id>> interests_;  ///< by watch descriptor, then entry
    bool complained_ = false;
};

namespace {

class Registration final : public PathWatch::Watch {
public:
    explicit Registration(std::function<void()> end) : end_{std::move(end)} {}
    ~Registration() override { end_(); }
    Registration(const Registration&) = delete;
    Registration& operator=(const Registration&) = delete;

private:
    std::function<void()> end_;
};

}  // namespace

PathWatch::PathWatch(CoreLoop& loop, Contents contents) : impl_{std::make_unique<Impl>(loop, contents)} {}

PathWatch::~PathWatch() = default;

std::unique_ptr<PathWatch::Watch> PathWatch::watch(const std::string& path, std::function<void()> changed,
                                                   Endpoint::Links links) {
    const Impl::Id id = impl_->add(path, std::move(changed), links);
    return std::make_unique<Registration>([impl = impl_.get(), id] { impl->remove(id); });
}

}  // namespace brokerd
