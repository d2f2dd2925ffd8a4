#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "daemon/http/body_parser.h"
#include "daemon/http/head_parser.h"
#include "daemon/registry/net_stream.h"

namespace brokerd {

using HttpFields = std::vector<std::pair<std::string, std::string>>;

/// Where a request's body comes from. It can be read again: requests are repeated.
class UploadBody {
public:
    virtual ~UploadBody() = default;
    [[nodiscard]] virtual std::uint64_t size() const = 0;
    /// Bytes from `offset` on, at least one; valid until the next call.
    [[nodiscard]] virtual RegistryResult<std::string_view> read(std::uint64_t offset) = 0;
};

/// A body in memory. Borrows the bytes.
class MemoryBody final : public UploadBody {
public:
    explicit MemoryBody(std::string_view bytes) noexcept : bytes_{bytes} {}
    [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
    [[nodiscard]] RegistryResult<std::string_view> read(std::uint64_t offset) override {
        return bytes_.substr(static_cast<std::size_t>(offset));
    }

private:
    std::string_view bytes_;
};

/// The head of an answer: what a registry client needs of it, copied.
struct HttpAnswer {
    unsigned status = 0;
    std::optional<std::uint64_t> length;  ///< of the body, where Content-Length says it
    HttpFields fields;                    ///< as they came

    /// The first field of this name (given in lower case), or an empty string.
    [[nodiscard]] std::string_view field(std::string_view lower_name) const;
    /// All fields of this name, joined with ", " (RFC 9110 5.3).
    [[nodiscard]] std::string fields_joined(std::string_view lower_name) const;
};

/// HTTP/1.1 on one connection, one exchange after the other, with the strict parsers of daemon/http: heads are bounded
/// by them (32 KiB, 128 fields). Bodies are handed over as they lie in the read buffer, without a copy.
/// Thread: one at a time.
class RegistryConnection {
public:
    explicit RegistryConnection(NetStream stream) : stream_{std::move(stream)} {}
    RegistryConnection(const RegistryConnection&) = delete;
    RegistryConnection& operator=(const RegistryConnection&) = delete;

    /// Sends a request and reads the head of its answer; interim answers (1xx) are skipped. `head` is the request's,
    /// whole, with its empty line. `is_head`: the method is HEAD.
    [[nodiscard]] RegistryResult<HttpAnswer> exchange(std::string_view head, UploadBody* body, bool is_head,
                                                      const TransferPatience& patience);

    /// Takes a piece of the body; an error ends the reading.
    using Receiver = std::function<RegistryResult<std::monostate>(std::string_view piece)>;
    /// Reads the body of the last answer to its end.
    [[nodiscard]] RegistryResult<std::monostate> read_body(const Receiver& receive, const TransferPatience& patience);

    /// Whether another exchange may follow: the last answer was read whole and the other side keeps the connection.
    [[nodiscard]] bool is_reusable() const { return reusable_ && body_.is_done() && begin_ == end_; }
    [[nodiscard]] bool is_stale() const { return stream_.is_stale(); }
    /// Whether any byte of the last request's answer has come.
    [[nodiscard]] bool answer_began() const noexcept { return answer_began_; }

    /// The bytes below, for TLS through a proxy's tunnel. Precondition: nothing is left unread.
    [[nodiscard]] NetStream take_stream() && { return std::move(stream_); }
    [[nodiscard]] bool has_unread() const noexcept { return begin_ != end_; }

private:
    [[nodiscard]] RegistryResult<std::monostate> send(std::string_view head, UploadBody* body,
                                                      const TransferPatience& patience);
    [[nodiscard]] RegistryResult<HttpAnswer> read_head(bool is_head, const TransferPatience& patience);
    /// More bytes into the buffer; the count, 0 at the end.
    [[nodiscard]] RegistryResult<std::size_t> fill(const TransferPatience& patience);
    [[nodiscard]] std::string_view unread() const noexcept { return {buffer_.get() + begin_, end_ - begin_}; }

    NetStream stream_;
    std::unique_ptr<char[]> buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    BodyParser body_;
    bool reusable_ = false;
    bool answer_began_ = false;
};

}  // namespace brokerd
