#include "daemon/control/exchange.h"

#include <exception>

#include "daemon/control/error_reply.h"
#include "daemon/control/http_server.h"
#include "daemon/loop/log.h"

namespace brokerd {

void Exchange::reply(ControlReply reply) const {
    post([self = *this, reply = std::make_shared<const ControlReply>(std::move(reply))](HttpServer& server) {
        server.finish(self, reply);
    });
}

void Exchange::reply_with(std::function<ControlReply()> format) const {
    post([self = *this, format = std::move(format)](HttpServer& server) {
        if (!server.awaits(self)) return;  // nobody is there to read what may be megabytes
        try {
            server.finish(self, format());
        } catch (const std::exception& error) {
            log_error("control socket: formatting an answer failed: {}", error.what());
            server.finish(self, error_reply::internal_error(error.what()));
        }
    });
}

void Exchange::start_job(JobWork work) const {
    post([self = *this, work = std::move(work)](HttpServer& server) mutable {
        server.start_job(self, std::move(work));
    });
}

}  // namespace brokerd
