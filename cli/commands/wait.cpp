// Nothing is polled: first the daemon is asked how the plugins are, then the stream of events says when it may be worth
// to ask again. What happens between the two is among the events that the stream begins with.
#include <fmt/format.h>
#include <sys/timerfd.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "cli/command_table.h"
#include "cli/output/printable.h"
#include "cli/plugin_fields.h"
#include "cli/session.h"
#include "common/os/unique_fd.h"

namespace brokerd::cli {
namespace {

constexpr std::array<std::string_view, 3> kConditions{"healthy", "running", "disabled"};
/// Ours: many times more events than fit between two requests in a row.
constexpr std::string_view kReplay = "64";

struct Flags {
    std::vector<std::string> names;
    std::string condition = "healthy";
    std::optional<int> timeout;  ///< seconds
};

bool fits(const PluginView& plugin, std::string_view condition) {
    if (condition == "healthy") return plugin.state == "running" || plugin.state == "active";
    if (condition == "running") return plugin.in_service();
    return plugin.state == "disabled";
}

/// Becomes readable after so many seconds; never where there are none.
UniqueFd timer(std::optional<int> seconds) {
    if (!seconds) return UniqueFd{};
    UniqueFd fd{::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC)};
    itimerspec when{};
    when.it_value.tv_sec = *seconds;
    if (*seconds == 0) when.it_value.tv_nsec = 1;  // zero would disarm it
    if (fd) ::timerfd_settime(fd.get(), 0, &when, nullptr);
    return fd;
}

class Waiting {
public:
    Waiting(const Flags& flags, Session& session) : flags_{flags}, session_{session} {}

    ExitStatus run() {
        const UniqueFd time_is_up = timer(flags_.timeout);
        for (const std::string& name : flags_.names) {
            awaited_.push_back({name, {}});
            if (!look(awaited_.back())) return *failure_;
        }
        std::erase_if(awaited_, [&](const Awaited& one) { return fits(one.plugin, flags_.condition); });
        if (awaited_.empty()) return ExitStatus::success;
        const auto handler = [this](const PluginEvent& event) { return take(event); };
        const auto end = session_.client().events({"", std::string{kReplay}}, handler, -1, time_is_up.get());
        if (failure_) return *failure_;
        if (end) return ExitStatus::success;
        if (end.error().kind != ClientError::Kind::interrupted) return session_.failure(end.error());
        return report_timeout();
    }

private:
    struct Awaited {
        std::string name;   ///< as it was given
        PluginView plugin;  ///< as it was seen last
    };

    /// False where there is no use in waiting.
    bool look(Awaited& one) {
        const auto json = session_.client().inspect(one.name);
        if (!json) {
            failure_ = session_.failure(json.error());
            return false;
        }
        const auto document = parse_json(*json);
        one.plugin = document ? plugin_view_from_json(*document) : PluginView{};
        if (flags_.condition == "disabled" && one.plugin.kind != "managed") {
            failure_ = session_.failure(
                fmt::format("{} will never be disabled: a file in a plugin directory defines it", one.plugin.name));
            return false;
        }
        return true;
    }

    /// Whether to go on.
    bool take(const PluginEvent& event) {
        for (auto one = awaited_.begin(); one != awaited_.end();) {
            if (one->plugin.name != event.plugin) {
                ++one;
                continue;
            }
            if (!look(*one)) return false;
            one = fits(one->plugin, flags_.condition) ? awaited_.erase(one) : std::next(one);
        }
        return !awaited_.empty();
    }

    ExitStatus report_timeout() {
        for (const Awaited& one : awaited_) {
            session_.failure(fmt::format("{} is not {} after {} s, it is {}", one.plugin.name, flags_.condition,
                                         flags_.timeout.value_or(0), status_text(one.plugin)));
        }
        return ExitStatus::failed;
    }

    const Flags& flags_;
    Session& session_;
    std::vector<Awaited> awaited_;
    std::optional<ExitStatus> failure_;
};

ExitStatus run(const Flags& flags, Session& session) {
    const auto empty = [](const std::string& name) { return name.empty(); };
    if (std::any_of(flags.names.begin(), flags.names.end(), empty)) {
        return session.usage_error("a plugin's name is empty");
    }
    if (std::find(kConditions.begin(), kConditions.end(), flags.condition) == kConditions.end()) {
        return session.usage_error(fmt::format("nothing can be waited for by the name \"{}\"; it is one of: {}",
                                               flags.condition, fmt::join(kConditions, ", ")));
    }
    if (flags.timeout && *flags.timeout < 0) {
        return session.usage_error(fmt::format("negative timeout {} is invalid", *flags.timeout));
    }
    return Waiting{flags, session}.run();
}

}  // namespace

Run wait_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_option("NAME", flags->names)->required();
    app.add_option("--for", flags->condition, fmt::format("{}", fmt::join(kConditions, " ")));
    app.add_option("--timeout", flags->timeout);
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
