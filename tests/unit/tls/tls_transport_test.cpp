#include "daemon/tls/tls_transport.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>

#include "common/os/unique_fd.h"

using namespace brokerd;

namespace {

/// A transport on one end of a pair of sockets, with a small send buffer, and the peer at the other end.
struct Pair {
    Pair() {
        std::array<int, 2> ends{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
        ours = UniqueFd{ends[0]};
        peer = UniqueFd{ends[1]};
        const int small = 8 << 10;
        REQUIRE(::setsockopt(ours.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
        transport.emplace(ours.get(), false);
        bio.reset(transport->take_bio());
    }

    /// As OpenSSL writes one record of so much plaintext.
    void write_record(std::size_t plaintext, char mark) {
        const std::string record(plaintext + 22, mark);
        REQUIRE(BIO_write(bio.get(), record.data(), static_cast<int>(record.size())) ==
                static_cast<int>(record.size()));
        transport->end_record(plaintext);
    }

    /// Takes what the peer can read now.
    std::string drain() {
        std::string all;
        std::array<char, 65536> piece{};
        for (ssize_t count = 0; (count = ::read(peer.get(), piece.data(), piece.size())) > 0;)
            all.append(piece.data(), static_cast<std::size_t>(count));
        return all;
    }

    UniqueFd ours;
    UniqueFd peer;
    std::optional<TlsTransport> transport;
    struct Free {
        void operator()(BIO* freed) const noexcept { BIO_free_all(freed); }
    };
    std::unique_ptr<BIO, Free> bio;
};

}  // namespace

TEST_CASE("records that were collected leave together") {
    Pair pair;
    pair.transport->start_gathering();
    pair.write_record(100, 'a');
    pair.write_record(200, 'b');
    CHECK(pair.drain().empty());
    const auto sent = pair.transport->send();
    CHECK(sent.plaintext == 300);
    CHECK(sent.code == 0);
    CHECK_FALSE(pair.transport->has_unsent());
    CHECK(pair.drain() == std::string(122, 'a') + std::string(222, 'b'));
}

TEST_CASE("plaintext counts once its whole record has left, and in order") {
    Pair pair;
    pair.transport->start_gathering();
    std::size_t total = 0;
    std::string expected;
    for (char mark = 'a'; pair.transport->has_room(); ++mark) {
        pair.write_record(TlsTransport::kRecordBytes, mark);
        total += TlsTransport::kRecordBytes;
        expected += std::string(TlsTransport::kRecordBytes + 22, mark);
    }
    CHECK(total == std::size_t{64} << 10);
    std::string received;
    std::size_t counted = 0;
    bool was_partial = false;
    for (int round = 0; pair.transport->has_unsent() && round < 1000; ++round) {
        const auto sent = pair.transport->send();
        counted += sent.plaintext;
        CHECK(sent.code == (pair.transport->has_unsent() ? EAGAIN : 0));
        CHECK(counted % TlsTransport::kRecordBytes == 0);
        received += pair.drain();
        CHECK(received.size() >= counted);
        was_partial = was_partial || (sent.plaintext == 0 && !received.empty());
    }
    CHECK(was_partial);
    CHECK(counted == total);
    CHECK(received == expected);
}

TEST_CASE("nothing overtakes what waits for room") {
    Pair pair;
    pair.transport->start_gathering();
    for (char mark = 'a'; pair.transport->has_room(); ++mark) pair.write_record(TlsTransport::kRecordBytes, mark);
    CHECK(pair.transport->send().code == EAGAIN);
    REQUIRE(pair.transport->has_unsent());
    CHECK(BIO_write(pair.bio.get(), "late", 4) == -1);
    CHECK(BIO_should_write(pair.bio.get()) != 0);
    while (pair.transport->has_unsent()) {
        pair.drain();
        CHECK((pair.transport->send().code & ~EAGAIN) == 0);
    }
    pair.drain();
    CHECK(BIO_write(pair.bio.get(), "late", 4) == 4);
    CHECK(pair.drain() == "late");
}

TEST_CASE("a peer that is gone is told as an error") {
    Pair pair;
    pair.peer.reset();
    pair.transport->start_gathering();
    pair.write_record(10, 'a');
    const auto sent = pair.transport->send();
    CHECK(sent.plaintext == 0);
    CHECK(sent.code == EPIPE);
}

TEST_CASE("a short read spares the next one until the loop tells of news") {
    Pair pair;
    std::array<char, 100> buffer{};
    const auto read = [&] { return BIO_read(pair.bio.get(), buffer.data(), static_cast<int>(buffer.size())); };
    const auto say = [&](const char* text) { REQUIRE(::write(pair.peer.get(), text, 3) == 3); };
    pair.transport->start_sparing_reads(true);
    say("one");
    CHECK(read() == 3);
    say("two");
    CHECK(read() == -1);  // the socket was not asked
    CHECK(BIO_should_read(pair.bio.get()) != 0);
    SECTION("news") {
        pair.transport->note_ready(false);
    }
    SECTION("whoever asks again gets it, too") {}
    CHECK(read() == 3);
    pair.transport->note_ready(true);
    say("end");
    pair.peer.reset();
    CHECK(read() == 3);
    CHECK(read() == 0);  // no short read hides the end
}
