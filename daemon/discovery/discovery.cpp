// Docker looks a name up by trying paths one after another, so what a name means is a function of a few files on disk.
// Discovery keeps that function's results up to date without ever patching them: whatever touches a path makes the one
// name that this path can define be looked up again, from disk, and the result is told if it differs. What a fresh scan
// would find and what is told can then differ only if an event is missed, which is DirectoryTree's business.

#include "daemon/discovery/discovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <set>
#include <utility>

#include "common/os/system_error.h"
#include "common/plugin_name.h"
#include "daemon/discovery/definition_file.h"
#include "daemon/discovery/directory_tree.h"
#include "daemon/discovery/search_order.h"
#include "daemon/discovery/settling_files.h"
#include "daemon/loop/log.h"
#include "daemon/loop/log_entry.h"

namespace brokerd {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMaxDefinitions = 10'000;
/// A new file that is empty: usually its writer is about to write. After this long, it is a mistake worth listing.
constexpr auto kEmptyFileSettles = 1s;
/// A new file that is not empty and not linked from elsewhere: either it is being written right now, or it got its name
/// when it was complete, for which there is no further event. Well below the 20 ms in which a change must be acted on.
constexpr auto kNewFileSettles = 2ms;
/// Where a limit keeps changes from being noticed, they are looked for.
constexpr auto kIncompleteRescan = 30s;
/// The same where descriptors or memory had run out.
constexpr auto kShortageRescan = 2s;

/// What is at a candidate's path, as Docker's look-up sees it.
struct Look {
    enum class Kind { absent, passed_over, present };
    Kind kind = Kind::absent;
    std::string why;  ///< for passed_over: what Docker does not count it for
};

Look look_at(const std::string& file, PluginDefinition::Source source, const Discovery::IsOwnSocket& is_own_socket) {
    struct stat status {};
    if (lstat(file.c_str(), &status) != 0) {
        // Anything but "not there" can only be seen by opening it, which then says why.
        if (errno == ENOENT || errno == ENOTDIR) return {};
        return {Look::Kind::passed_over, errno_text(errno)};
    }
    if (S_ISLNK(status.st_mode) && stat(file.c_str(), &status) != 0) {
        const int code = errno;
        return {Look::Kind::passed_over,
                code == ENOENT ? "it is a symbolic link to a file that does not exist" : errno_text(code)};
    }
    if (source != PluginDefinition::Source::socket) return {Look::Kind::present, {}};
    if (S_ISDIR(status.st_mode)) return {};
    if (!S_ISSOCK(status.st_mode))
        return {Look::Kind::passed_over, fmt::format("it is {}, not a socket", file_type(status))};
    return {is_own_socket && is_own_socket(status) ? Look::Kind::absent : Look::Kind::present, {}};
}

}  // namespace

class Discovery::Impl {
public:
    Impl(CoreLoop& loop, const DiscoverySettings& settings, IsOwnSocket is_own_socket, Changed changed)
        : loop_{loop},
          settings_{settings},
          order_{settings.engine_socket_directory, settings.spec_directories},
          trust_{settings.allow_unsafe_files ? FileTrust::anybody : FileTrust::root_or_own},
          is_own_socket_{std::move(is_own_socket)},
          changed_{std::move(changed)},
          settling_{loop, [this](const EntryPath& file) {
                        touch_name(file);
                        resolve_touched();
                    }} {}

    void configure(const DiscoverySettings& settings) {
        if (settings == settings_) return;
        settings_ = settings;
        tree_.reset();  // it uses the order
        order_ = SearchOrder{settings.engine_socket_directory, settings.spec_directories};
        trust_ = settings.allow_unsafe_files ? FileTrust::anybody : FileTrust::root_or_own;
        // The new tree knows nothing of files that it does not find.
        for (const auto& [name, definition] : definitions_) touched_.insert(name);
        rescan();
    }

    void rescan() {
        retry_.reset();
        over_limit_ = is_short_ = false;
        settling_.forget_all();
        if (!tree_) {
            tree_.emplace(loop_, order_,
                          DirectoryTree::Listener{
                              [this](const EntryPath& file, DirectoryTree::Touch touch) { on_touched(file, touch); },
                              [this] { resolve_touched(); }});
        }
        tree_->rescan();
        resolve_touched();
    }

private:
    /// A raw name is the text of a path; see SearchOrder.
    using RawName = std::string;

    struct Found {
        SearchOrder::Candidate candidate;
        std::string file;
        Look look;
    };

    void on_touched(const EntryPath& file, DirectoryTree::Touch touch) {
        using Touch = DirectoryTree::Touch;
        if ((touch == Touch::created || touch == Touch::found) && wait_for_writer(file, touch)) return;
        if (touch == Touch::attributes && settling_.contains(file)) return;
        settling_.forget(file);
        touch_name(file);
    }

    void touch_name(const EntryPath& file) {
        if (auto name = order_.name_of(file)) touched_.insert(std::move(*name));
    }

    bool wait_for_writer(const EntryPath& file, DirectoryTree::Touch touch) {
        struct stat status {};
        if (lstat(order_.absolute(file).c_str(), &status) != 0) return false;
        if (!S_ISREG(status.st_mode) || status.st_nlink != 1 || settling_.size() >= kMaxDefinitions) return false;
        // A directory that is swapped for another must not make its plugins vanish for the time of waiting.
        const bool replaces =
            touch == DirectoryTree::Touch::found && definitions_.contains(order_.name_of(file).value_or(""));
        if (replaces && status.st_size > 0) return false;
        settling_.add(file, status.st_size == 0 ? Scheduler::Clock::duration{kEmptyFileSettles} : kNewFileSettles);
        return true;
    }

    void resolve_touched() {
        if (std::exchange(resolving_, true)) return;  // Changed called rescan(): the loop below takes that in
        while (!touched_.empty()) {
            const RawName name = std::move(touched_.extract(touched_.begin()).value());
            try {
                update(name);
            } catch (...) {
                loop_.report(std::current_exception());
            }
        }
        resolving_ = false;
        if (retry_) return;
        if (is_short_ || tree_->is_short()) {
            retry_ = loop_.after(kShortageRescan, [this] { rescan(); });
        } else if (over_limit_ || tree_->is_incomplete()) {
            retry_ = loop_.after(kIncompleteRescan, [this] { rescan(); });
        }
    }

    void update(const RawName& name) {
        std::optional<PluginDefinition> definition = resolve(name);
        // That we cannot look says nothing of the file: what was told holds until we can.
        if (definition && definition->problem == PluginDefinition::Problem::shortage) return meet_shortage();
        const auto known = definitions_.find(name);
        if (known == definitions_.end()) {
            if (!definition) return;
            if (definitions_.size() == kMaxDefinitions) return meet_limit();
            const auto& told = definitions_.emplace(name, *definition).first->second;
            changed_(told.name, definition);
        } else if (!definition) {
            const std::string shown = known->second.name;
            definitions_.erase(known);
            changed_(shown, std::nullopt);
        } else if (!(*definition == known->second)) {
            known->second = *definition;
            changed_(definition->name, definition);
        }
    }

    void meet_limit() {
        over_limit_ = true;
        if (!std::exchange(warned_, true)) {
            log_entry({LogLevel::warning,
                       fmt::format("the plugin directories define more than {} plugins; the others are not looked at",
                                   kMaxDefinitions),
                       message::kLimitReached});
        }
    }

    void meet_shortage() {
        is_short_ = true;
        if (std::exchange(warned_of_shortage_, true)) return;
        log_entry({LogLevel::warning,
                   "plugin definitions cannot be read for now, because descriptors or memory have run out; what is "
                   "known of them stays, and they are read as soon as that is possible",
                   message::kLimitReached});
    }

    /// The definition of a name as the disk has it now.
    std::optional<PluginDefinition> resolve(const RawName& name) const {
        const std::vector<Found> found = look_up(name);
        if (found.empty()) return std::nullopt;
        // Docker's look-up takes the first path that exists; what it passes over is worth telling where nothing else
        // is.
        auto winner =
            std::find_if(found.begin(), found.end(), [](const Found& f) { return f.look.kind == Look::Kind::present; });
        if (winner == found.end()) winner = found.begin();
        PluginDefinition definition = define(name, *winner);
        for (const Found& other : found) {
            if (&other == &*winner) continue;
            definition.shadows.push_back(
                {shown(other), other.look.kind == Look::Kind::present
                                   ? fmt::format("{} comes first in the search order", shown(*winner))
                                   : other.look.why + ": it is passed over"});
        }
        return definition;
    }

    std::vector<Found> look_up(const RawName& name) const {
        std::vector<Found> found;
        for (SearchOrder::Candidate& candidate : order_.candidates(name)) {
            const std::string_view relative = candidate.path.relative;
            const std::size_t slash = relative.rfind('/');
            const std::string_view directory = relative.substr(0, slash == std::string_view::npos ? 0 : slash);
            // What is not in the tree is not watched either (too deep, a loop): it must not count now and then.
            if (!tree_->contains(candidate.path.root, directory) || settling_.contains(candidate.path)) continue;
            std::string file = order_.absolute(candidate.path);
            Look look = look_at(file, candidate.source, is_own_socket_);
            if (look.kind != Look::Kind::absent)
                found.push_back({std::move(candidate), std::move(file), std::move(look)});
        }
        return found;
    }

    PluginDefinition define(const RawName& raw, const Found& winner) const {
        const auto name = PluginName::parse(raw);
        if (name) return load_definition(name->str(), winner.file, winner.candidate.source, trust_);
        PluginDefinition definition;
        definition.name = escaped(raw, raw.size());
        definition.file = shown(winner);
        definition.source = winner.candidate.source;
        definition.problem = PluginDefinition::Problem::bad_name;
        definition.reason = fmt::format("{}: {}", definition.file, name.error().message);
        definition.remedy = "rename the file";
        return definition;
    }

    /// A file's path for people: below the root, it is whatever somebody called the file.
    std::string shown(const Found& found) const {
        const std::string& relative = found.candidate.path.relative;
        return order_.absolute({found.candidate.path.root, escaped(relative, relative.size())});
    }

    CoreLoop& loop_;
    DiscoverySettings settings_;
    SearchOrder order_;
    FileTrust trust_;
    IsOwnSocket is_own_socket_;
    Changed changed_;
    SettlingFiles settling_;
    std::set<RawName> touched_;
    std::map<RawName, PluginDefinition> definitions_;  ///< as told
    std::unique_ptr<Scheduler::Timer> retry_;
    bool resolving_ = false;
    bool over_limit_ = false;
    bool is_short_ = false;
    bool warned_of_shortage_ = false;
    bool warned_ = false;
    std::optional<DirectoryTree> tree_;  ///< from start() on
};

Discovery::Discovery(CoreLoop& loop, const DiscoverySettings& settings, IsOwnSocket is_own_socket, Changed changed)
    : impl_{std::make_unique<Impl>(loop, settings, std::move(is_own_socket), std::move(changed))} {}

Discovery::~Discovery() = default;

void Discovery::start() {
    impl_->rescan();
}

void Discovery::configure(const DiscoverySettings& settings) {
    impl_->configure(settings);
}

void Discovery::rescan() {
    impl_->rescan();
}

}  // namespace brokerd
