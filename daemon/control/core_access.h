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

    /// `question` answers `exchange`, at once or later. An exception becomes 500. It is dropped where nobody is there
    /// any more to read the answer.
    void ask(const Exchange& exchange, Question question) const {
        post([exchange, question = std::move(question)](PluginQueries& core) {
            if (!exchange.is_awaited()) return;
            try {
                question(core);
            } catch (const std::exception& error) {
                log_error("control socket: a question to the core failed: {}", error.what());
                exchange.reply(error_reply::internal_error(error.what()));
            }
        });
    }

    /// Runs `question`, which answers by itself and throws nothing.
    void post(Question question) const {
        loop_.post([core = std::weak_ptr{core_}, question = std::move(question)] {
            if (const auto alive = core.lock()) question(**alive);
        });
    }

private:
    CoreLoop& loop_;
    std::shared_ptr<PluginQueries*> core_;
};

}  // namespace brokerd
