#pragma once

#include <algorithm>
#include <chrono>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daemon/control/control_message.h"
#include "daemon/control/error_reply.h"
#include "daemon/control/exchange.h"
#include "daemon/control/http_server.h"
#include "daemon/loop/log.h"

namespace brokerd {

/// An answer that many may want at the same time and that costs something, as a list of all plugins does. What it is
/// made of is asked for once for all who wait, and what they are to read is kept once. However many ask, that is one
/// question under way and one behind it, and each is told what was true after it had asked.
///
/// Thread: the server's, but for Reporter. Outlives the server's thread.
template <class Facts>
class SharedAnswer {
public:
    using Format = std::function<ControlReply(const Facts& facts)>;

private:
    struct Asker {
        Exchange exchange;
        std::string key;
        Format format;
    };

public:
    /// Takes the facts for those who have asked. Thread: any, one at a time. One that is told nothing before its end
    /// tells them so.
    class Reporter {
    public:
        Reporter(SharedAnswer& answer, std::vector<Asker> askers) : answer_{answer}, askers_{std::move(askers)} {}
        ~Reporter() {
            try {
                fail("the question was dropped");
            } catch (const std::exception&) {  // without memory: see kPatience
            }
        }
        Reporter(const Reporter&) = delete;
        Reporter& operator=(const Reporter&) = delete;

        void tell(Facts facts) {
            conclude([known = std::make_shared<const Facts>(std::move(facts))](HttpServer& server, SharedAnswer& answer,
                                                                               const std::vector<Asker>& askers) {
                answer.finish(server, askers, *known);
            });
        }
        void fail(const std::string& why) {
            conclude([why](HttpServer& server, SharedAnswer&, const std::vector<Asker>& askers) {
                for (const Asker& asker : askers) server.finish(asker.exchange, error_reply::internal_error(why));
            });
        }
        /// Whether anybody is still there to read it. Where nobody is, nothing needs to be told.
        [[nodiscard]] bool is_awaited() const {
            return std::any_of(askers_.begin(), askers_.end(),
                               [](const Asker& asker) { return asker.exchange.is_awaited(); });
        }

    private:
        template <class Conclusion>
        void conclude(Conclusion conclusion) {
            if (askers_.empty()) return;
            const Exchange any = askers_.front().exchange;
            any.post([&answer = answer_, conclusion = std::move(conclusion),
                      askers = std::exchange(askers_, {})](HttpServer& server) {
                try {
                    conclusion(server, answer, askers);
                } catch (const std::exception& error) {
                    log_error("control socket: formatting an answer failed: {}", error.what());
                    for (const Asker& asker : askers)
                        server.finish(asker.exchange, error_reply::internal_error(error.what()));
                }
                answer.go_on();
            });
        }

        SharedAnswer& answer_;
        std::vector<Asker> askers_;  ///< none once they have been told
    };

    /// Sees to it that the facts are told, at once or later. Called on the server's thread, must not wait.
    using Question = std::function<void(std::shared_ptr<Reporter> reporter)>;

    explicit SharedAnswer(Question question) : question_{std::move(question)} {}
    SharedAnswer(const SharedAnswer&) = delete;
    SharedAnswer& operator=(const SharedAnswer&) = delete;

    /// Answers `exchange` with what `format` makes of the facts, on the server's thread. `key` says all that this
    /// depends on beside them: of those with the same one, the newest is called, for all.
    void ask(const Exchange& exchange, std::string key, Format format) {
        waiting_.push_back({exchange, std::move(key), std::move(format)});
        if (!is_under_way_ || std::chrono::steady_clock::now() - asked_ > kPatience) go_on();
    }

private:
    using Reply = std::shared_ptr<const ControlReply>;

    /// Ours, as long as a handler may take: a question that is not answered in this time does not hold up the next one.
    static constexpr std::chrono::seconds kPatience{30};

    void go_on() {
        is_under_way_ = !waiting_.empty();
        asked_ = std::chrono::steady_clock::now();
        if (is_under_way_) question_(std::make_shared<Reporter>(*this, std::exchange(waiting_, {})));
    }

    void finish(HttpServer& server, const std::vector<Asker>& askers, const Facts& facts) {
        std::map<std::string, const Format*> formats;
        for (const Asker& asker : askers) formats[asker.key] = &asker.format;
        std::map<std::string, Reply> replies;
        for (const auto& [key, format] : formats) replies[key] = kept(key, (*format)(facts));
        for (const Asker& asker : askers) server.finish(asker.exchange, replies[asker.key]);
    }

    /// This reply, or the one before it where that says the same and somebody still reads it.
    Reply kept(const std::string& key, ControlReply fresh) {
        std::erase_if(last_, [](const auto& known) { return known.second.expired(); });
        const auto known = last_.find(key);
        const Reply last = known == last_.end() ? nullptr : known->second.lock();
        if (last && *last == fresh) return last;
        auto made = std::make_shared<const ControlReply>(std::move(fresh));
        last_[key] = made;
        return made;
    }

    Question question_;
    std::vector<Asker> waiting_;  ///< for the next question
    bool is_under_way_ = false;
    std::chrono::steady_clock::time_point asked_{};                  ///< the newest question
    std::map<std::string, std::weak_ptr<const ControlReply>> last_;  ///< by key, while somebody reads it
};

}  // namespace brokerd
