// Bodies in chunks, with their extensions and trailers: daemon/http/body_parser.h.
#include "tests/fuzz/checks.h"
#include "tests/fuzz/http_messages.h"

namespace brokerd::fuzz::chunked_body_target {
namespace {

/// A sink that has room for a little, and then for none until it is asked again.
struct NarrowSink final : BodySink {
    explicit NarrowSink(Cuts& choice) : cuts{choice} {}
    std::size_t take_body(std::string_view piece) override {
        const std::size_t count = std::min(piece.size(), cuts.below(6));
        bytes.append(piece.substr(0, count));
        return count;
    }
    Cuts& cuts;
    std::string bytes;
};

struct Outcome {
    ParseStatus status = ParseStatus::need_more;
    std::string body;
    std::size_t used = 0;

    friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome read_whole(std::string_view input) {
    Outcome outcome;
    CollectedBody sink;
    BodyParser parser;
    parser.start(BodyFraming::chunked, 0);
    outcome.status = parser.parse(input, sink, outcome.used);
    outcome.body = std::move(sink.bytes);
    return outcome;
}

/// In pieces, to a sink that is often full; and what is known to be plain body goes past the parser now and then.
Outcome read_piecemeal(std::string_view input) {
    Outcome outcome;
    Cuts cuts{input};
    NarrowSink sink{cuts};
    BodyParser parser;
    parser.start(BodyFraming::chunked, 0);
    std::size_t come = 0;
    for (;;) {
        const std::string_view there = input.substr(outcome.used, come - outcome.used);
        if (const std::uint64_t plain = parser.plain_bytes(); plain > 0 && !there.empty() && cuts.below(3) == 0) {
            const std::size_t count = 1 + cuts.below(std::min<std::uint64_t>(plain, there.size()));
            sink.bytes.append(there.substr(0, count));
            parser.skip(count);
            outcome.used += count;
            continue;
        }
        std::size_t used = 0;
        outcome.status = parser.parse(there, sink, used);
        outcome.used += used;
        expect(outcome.used <= come, "no parser uses bytes that have not come");
        if (outcome.status == ParseStatus::blocked) continue;
        if (outcome.status != ParseStatus::need_more || come == input.size()) break;
        come += cuts.next(input.size() - come);
    }
    outcome.body = std::move(sink.bytes);
    return outcome;
}

}  // namespace

void try_input(std::string_view input) {
    const Outcome whole = read_whole(input);
    const Outcome pieces = read_piecemeal(input);
    expect(whole.status == pieces.status, "a body is read alike, whole and in pieces");
    if (whole.status == ParseStatus::malformed) return;
    expect(whole == pieces, "a body is the same, whole and in pieces");
    if (whole.status != ParseStatus::done) return;
    expect(input.substr(0, whole.used).ends_with("\r\n\r\n") || input.substr(0, whole.used).ends_with("0\r\n\r\n"),
           "a body in chunks ends with an empty line");
    // What is behind it changes nothing: it is the next message's.
    const Outcome with_more = read_whole(std::string{input} + "GET / HTTP/1.1\r\n");
    expect(with_more == whole, "what follows a body changes nothing");
}

}  // namespace brokerd::fuzz::chunked_body_target
