#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "daemon/control/error_reply.h"
#include "daemon/control/exchange.h"
#include "daemon/core/plugin_queries.h"
#include "daemon/loop/core_loop.h"
#include "daemon/loop/log.h"

namespace brokerd {

/// The way from a request to the core: questions are asked on the core loop's thread, and nobody waits for them.
/// Thread: construct and destroy on the core loop's; ask() from any. What is asked after destruction is dropped.
class CoreAccess {
public:
    using Question = std::function<void(PluginQueries& core)>;

    CoreAccess(CoreLoop& loop, PluginQueries& core) : loop_{loop}, core_{std::make_shared<PluginQueries*>(&core)} {}

    /// `question` answers `exchange`, at once or later. An exception becomes 500.
    void ask(const Exchange& exchange, Question question) const {
        loop_.post([core = std::weak_ptr{core_}, exchange, question = std::move(question)] {
            const auto alive = core.lock();
            if (!alive) return;
            try {
                question(**alive);
            } catch (const std::exception& error) {
                log_error("control socket: a question to the core failed: {}", error.what());
                exchange.reply(error_reply::internal_error(error.what()));
            }
        });
    }

private:
    CoreLoop& loop_;
    std::shared_ptr<PluginQueries*> core_;
};

}  // namespace brokerd
