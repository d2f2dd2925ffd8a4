#include "daemon/proxy/counts_collector.h"

#include <utility>

#include "daemon/proxy/proxy_thread.h"

namespace brokerd {

void CountsCollector::collect(Done done) {
    waiting_.push_back(std::move(done));
    if (!answer_) ask_threads();
}

void CountsCollector::ask_threads() {
    asking_ = std::exchange(waiting_, {});
    answer_ = std::make_shared<std::vector<ThreadCounts>>();
    for (const auto& thread : threads_) {
        thread->collect([&loop = loop_, weak = weak_from_this()](ThreadCounts counts) {
            auto shared = std::make_shared<ThreadCounts>(std::move(counts));
            loop.post([weak, shared] {
                if (const auto self = weak.lock()) self->add(std::move(*shared));
            });
        });
    }
}

void CountsCollector::add(ThreadCounts counts) {
    answer_->push_back(std::move(counts));
    if (answer_->size() < threads_.size()) return;
    const Counts all = std::exchange(answer_, nullptr);
    const std::vector<Done> asking = std::exchange(asking_, {});
    if (!waiting_.empty()) ask_threads();
    for (const Done& done : asking) done(all);
}

}  // namespace brokerd
