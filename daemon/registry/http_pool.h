#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "daemon/registry/registry_connection.h"
#include "daemon/registry/registry_settings.h"
#include "daemon/registry/registry_tls.h"
#include "daemon/registry/url.h"

namespace brokerd {

/// One request, without authentication and redirects: those are for who knows which host may see what.
struct HttpCall {
    std::string method = "GET";
    Url url;
    HttpFields fields;  ///< besides Host, User-Agent, Accept-Encoding and Content-Length, which are added
    UploadBody* body = nullptr;
    std::uint64_t answer_bytes = 0;  ///< of a large body that is expected: it gets more time
};

class HttpPool;

/// An answer whose body may be read. Gives its connection back to the pool, which it must not outlive, where that is of
/// further use.
class [[nodiscard]] HttpExchange {
public:
    HttpExchange(HttpExchange&&) noexcept = default;
    HttpExchange& operator=(HttpExchange&&) = delete;
    ~HttpExchange();

    [[nodiscard]] const HttpAnswer& answer() const noexcept { return answer_; }
    [[nodiscard]] unsigned status() const noexcept { return answer_.status; }
    [[nodiscard]] const Url& url() const noexcept { return url_; }

    [[nodiscard]] RegistryResult<std::monostate> read_body(const RegistryConnection::Receiver& receive);
    /// The whole body; an error of kind `invalid` where it is larger.
    [[nodiscard]] RegistryResult<std::string> body(std::size_t limit);
    /// Reads a body that nobody needs, so that the connection can be used again; gives up on a large one.
    void skip_body();

private:
    friend class HttpPool;
    HttpExchange(HttpPool& pool, std::unique_ptr<RegistryConnection> connection, HttpAnswer answer, Url url,
                 TransferPatience patience) noexcept
        : pool_{&pool},
          connection_{std::move(connection)},
          answer_{std::move(answer)},
          url_{std::move(url)},
          patience_{patience} {}

    HttpPool* pool_;
    std::unique_ptr<RegistryConnection> connection_;
    HttpAnswer answer_;
    Url url_;
    TransferPatience patience_;
};

/// The connections of one job, to all hosts that it talks to, through proxies where the settings say so. Kept alive
/// between requests. Thread: any; the lock is held for list operations alone. Borrows settings and descriptor.
class HttpPool {
public:
    HttpPool(const RegistrySettings& settings, int cancel_fd)
        : settings_{settings}, cancel_fd_{cancel_fd}, tls_{settings.certs_dir} {}
    HttpPool(const HttpPool&) = delete;
    HttpPool& operator=(const HttpPool&) = delete;

    /// Sends a request and reads the head of its answer. A kept connection that turns out to be closed is replaced.
    [[nodiscard]] RegistryResult<HttpExchange> send(const HttpCall& call);

    /// Whether the other side speaks TLS. False only where it was reached and did not; an error where that cannot be
    /// told. Certificates are not looked at: for insecure hosts.
    [[nodiscard]] RegistryResult<bool> speaks_tls(const Url& https_url);

    [[nodiscard]] bool is_cancelled() const;
    [[nodiscard]] int cancel_fd() const noexcept { return cancel_fd_; }

private:
    friend class HttpExchange;
    using Connection = std::unique_ptr<RegistryConnection>;

    [[nodiscard]] std::string head_of(const HttpCall& call) const;
    [[nodiscard]] TransferPatience patience_for(const HttpCall& call) const;
    [[nodiscard]] std::optional<Url> proxy_of(const Url& url) const;
    [[nodiscard]] RegistryResult<NetStream> connect(const Url& url) const;
    [[nodiscard]] RegistryResult<NetStream> tunnel(NetStream stream, const Url& url, const Url& proxy) const;
    [[nodiscard]] RegistryResult<Connection> open(const Url& url);
    [[nodiscard]] Connection take_idle(const Url& url);
    void give_back(const Url& url, Connection connection);

    const RegistrySettings& settings_;
    const int cancel_fd_;
    RegistryTls tls_;
    std::mutex mutex_;
    std::vector<std::pair<std::string, Connection>> idle_;  ///< by origin, the oldest first
};

}  // namespace brokerd
