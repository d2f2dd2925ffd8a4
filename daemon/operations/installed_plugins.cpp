#include "daemon/operations/installed_plugins.h"

#include <fmt/format.h>
#include <poll.h>

#include "daemon/loop/log.h"
#include "daemon/loop/log_entry.h"

namespace brokerd {

void log_state_finding(const std::string& finding) {
    log_entry({LogLevel::warning,
               fmt::format("managed plugins: {}", finding),
               message::kStateRepaired,
               {{"REASON", finding}}});
}

InstalledPlugins::InstalledPlugins(PluginStore store, Listener listener)
    : store_{std::move(store)}, listener_{std::move(listener)} {
    thread_ = std::thread{[this] { serve(); }};
}

InstalledPlugins::~InstalledPlugins() {
    mailbox_.close();
    thread_.join();
}

void InstalledPlugins::reload() {
    mailbox_.post([this](PluginStore& store) {
        const auto findings = store.reload();
        if (!findings) {
            log_entry({LogLevel::error,
                       fmt::format("managed plugins: {}", findings.error().message),
                       message::kStateUnavailable,
                       {{"REASON", findings.error().message}}});
        }
        if (findings) {
            for (const std::string& finding : *findings) log_state_finding(finding);
        }
        announce(store);
    });
}

void InstalledPlugins::serve() {
    for (bool closed = false; !closed;) {
        pollfd wake{mailbox_.descriptor(), POLLIN, 0};
        ::poll(&wake, 1, -1);
        closed = mailbox_.closed();
        for (const auto& work : mailbox_.take()) {
            try {
                work(store_);
            } catch (const std::exception& error) {  // of post(); run() hands its own to whoever waits
                log_error("the store of plugins: {}", error.what());
            }
        }
    }
}

void InstalledPlugins::announce(PluginStore& store) {
    for (const std::string& finding : store.take_findings()) log_state_finding(finding);
    listener_(store.records());
}

OperationResult<PluginClaims::Claim> PluginClaims::claim(const std::string& subject, const std::string& name) {
    const std::lock_guard lock{mutex_};
    if (subjects_.insert(subject).second) return Claim{*this, subject};
    return fail(OperationError::Kind::conflict,
                fmt::format("another operation is working on plugin \"{}\"; try again when it has ended", name));
}

void PluginClaims::let_go(const std::string& subject) noexcept {
    const std::lock_guard lock{mutex_};
    subjects_.erase(subject);
}

}  // namespace brokerd
