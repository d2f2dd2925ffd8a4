#pragma once

#include <vector>

#include "common/plugin_view.h"
#include "daemon/control/core_access.h"
#include "daemon/control/shared_answer.h"
#include "daemon/managed/plugin_record.h"
#include "daemon/metrics/broker_counts.h"
#include "daemon/operations/rooms.h"

namespace brokerd {

/// What grows with the number of plugins, and is told to whoever asks. Thread: as SharedAnswer.
struct SharedAnswers {
    SharedAnswers(const CoreAccess& core, const OperationRooms& operations);

    SharedAnswer<std::vector<PluginView>> plugins;
    SharedAnswer<std::vector<Finding>> findings;
    SharedAnswer<BrokerCounts> counts;
    /// Of the state root; where that is not available, it must not be asked for.
    SharedAnswer<std::vector<PluginRecordPtr>> installed;
};

}  // namespace brokerd
