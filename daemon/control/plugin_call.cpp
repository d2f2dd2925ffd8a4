#include "daemon/control/plugin_call.h"

// HTTP is cpp-httplib's, the bytes below it are PluginStream's. httplib::Client alone would not do (0.11.4): its
// timeouts are for one read each, so that a byte now and then keeps a worker for ever; its stop() does nothing for a
// call that is about to begin; a status line of 28,000 bytes, which the proxy lets pass, is a crash; a plugin that
// answers without reading the request gets no hearing; a full backlog is an error. What its parser takes too easily is
// checked here, since the answer goes into one of ours.
#include <httplib.h>

#include <algorithm>

#include "common/protocol/docker_plugin_api.h"
#include "daemon/control/plugin_stream.h"

namespace brokerd {
namespace {

/// cpp-httplib undoes %XX in values: a line end there must not become one in our own answer.
bool is_one_line(std::string_view value) {
    return std::none_of(value.begin(), value.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

/// One call with cpp-httplib, whose client lets a subclass bring its own connection.
class PluginClient final : public httplib::ClientImpl {
public:
    PluginClient(const std::string& path, const Patience& patience)
        : ClientImpl{"plugin"}, path_{path}, patience_{patience} {
        set_decompress(false);
    }

    Result<ControlReply> call(httplib::Request request) {
        request.response_handler = [this](const httplib::Response& head) { return take_head(head); };
        httplib::Response response;
        httplib::Error error{};
        const bool complete = send(request, response, error);
        if (problem_) return fail(std::move(*problem_));
        std::string type = response.get_header_value("Content-Type");
        if (!complete || response.status < 200 || !is_one_line(type)) return fail("its answer is not valid");
        return ControlReply{static_cast<unsigned>(response.status), std::move(type), std::move(response.body)};
    }

private:
    bool create_and_connect_socket(Socket& socket, httplib::Error& error) override {
        auto connected = connect_to(path_, patience_);
        if (connected) {
            socket.sock = connected->release();
        } else {
            error = httplib::Error::Connection;
            problem_ = connected.error();
        }
        return static_cast<bool>(connected);
    }

    bool process_socket(const Socket& socket, std::function<bool(httplib::Stream&)> exchange) override {
        PluginStream stream{socket.sock, patience_, PluginCall::kMaxAnswerBytes};
        stream_ = &stream;
        const bool complete = exchange(stream);
        stream_ = nullptr;
        if (stream.problem()) {
            problem_ = stream.problem();
        } else if (!complete && stream.ended()) {
            problem_ = Error{"the connection ended before the answer did"};
        } else if (complete && chunked_ && !stream.at_last_chunk()) {
            problem_ = Error{"a chunk of its answer is not valid"};
        }
        return complete && !problem_;
    }

    bool take_head(const httplib::Response& head) {
        stream_->head_is_over();
        chunked_ = head.has_header("Transfer-Encoding");
        return head.status >= 200;  // else what follows is no body
    }

    const std::string& path_;
    const Patience& patience_;
    PluginStream* stream_ = nullptr;  ///< during an exchange
    bool chunked_ = false;
    std::optional<Error> problem_;
};

}  // namespace

Result<ControlReply> perform(const PluginCall& call, std::chrono::milliseconds budget, int cancelled) {
    httplib::Request request;
    request.method = "POST";
    request.path = "/" + call.method;
    request.headers = {{"Accept", std::string{docker_plugin_api::kMediaType}},
                       {"Content-Type", call.content_type.empty() ? "application/json" : call.content_type},
                       {"Host", "plugin"},
                       {"User-Agent", "brokerd/" BROKERD_VERSION}};
    request.body = call.body;
    const Patience patience{budget, cancelled};
    return PluginClient{call.socket, patience}.call(std::move(request));
}

}  // namespace brokerd
