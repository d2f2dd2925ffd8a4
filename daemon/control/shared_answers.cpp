#include "daemon/control/shared_answers.h"

namespace brokerd {
namespace {

/// Has `take` tell the reporter what the core knows, unless nobody wants to know any more.
template <class Reporter, class Take>
void ask_core(const CoreAccess& core, std::shared_ptr<Reporter> reporter, Take take) {
    core.post([reporter = std::move(reporter), take](PluginQueries& queries) {
        if (!reporter->is_awaited()) return;
        try {
            take(queries, reporter);
        } catch (const std::exception& error) {
            log_error("control socket: a question to the core failed: {}", error.what());
            reporter->fail(error.what());
        }
    });
}

}  // namespace

SharedAnswers::SharedAnswers(const CoreAccess& core, const OperationRooms& operations)
    : plugins{[&core](auto reporter) {
          ask_core(core, std::move(reporter), [](auto& queries, const auto& told) { told->tell(queries.list()); });
      }},
      findings{[&core](auto reporter) {
          ask_core(core, std::move(reporter), [](auto& queries, const auto& told) { told->tell(queries.doctor()); });
      }},
      // The core only hands the threads' counts on; merging and writing them is left to the server's thread.
      counts{[&core](auto reporter) {
          ask_core(core, std::move(reporter), [](auto& queries, const auto& told) {
              queries.collect_counts([told](BrokerCounts counted) { told->tell(std::move(counted)); });
          });
      }},
      installed{[&operations](auto reporter) {
          operations.plugins.post([reporter](const PluginStore& store) {
              if (reporter->is_awaited()) reporter->tell(store.records());
          });
      }} {}

}  // namespace brokerd
