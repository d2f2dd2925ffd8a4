#include "daemon/loop/io_source.h"

#include <system_error>

namespace brokerd {

IoSource::IoSource(CoreLoop& loop, int fd, std::uint32_t events, Ready on_ready)
    : loop_{loop}, on_ready_{std::move(on_ready)} {
    const int code = sd_event_add_io(loop.handle(), &source_, fd, events, &IoSource::dispatch, this);
    if (code < 0) throw std::system_error{-code, std::generic_category(), "sd_event_add_io"};
}

IoSource::~IoSource() {
    sd_event_source_disable_unref(source_);
}

int IoSource::dispatch(sd_event_source*, int, std::uint32_t events, void* self) noexcept {
    auto& source = *static_cast<IoSource*>(self);
    CoreLoop& loop = source.loop_;
    try {
        // A copy: the callback may destroy this source, and with it the function that is running.
        const Ready on_ready = source.on_ready_;
        on_ready(events);
    } catch (...) {
        loop.report(std::current_exception());
    }
    return 0;  // negative would silently disable the source
}

}  // namespace brokerd
