"""Valid messages with random damage, judged by the strict reader: what it does not find in the bytes sent, nobody may get.

The seeds are fixed: a mutant's name ("mutated-requests-3/17") always stands for the same bytes. Only safety is judged here:
a proxy may refuse more than the reader does, never less.
"""

import os
import random

import http1
from cases import HIDDEN, TOKEN, chunk, counted, head, lines, with_token
from judge import Check
from recorder import Script
from verdicts import ANSWERS, REQUESTS

GROUP = "mutations"
RULE = "RELIABILITY.md 2.4: one byte stream, one reading"
BYTES = b"\0\x01\t\n\x0b\x0c\r\x1b \"#'(),;:=+-._/0159AFaxz\x7f\x80\xa0\xff"
FRAGMENTS = (b"\r\n", b"\n", b"\r\n ", b"\r\n\r\n", b"0\r\n\r\n", b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n", b"Host: b\r\n",
             b", ", b"0x", b"chunked", b": ", b";a=\"", b"HTTP/1.0", b"X-A: b\r\n", b"Connection: X-Case\r\n")
CODED = b"Transfer-Encoding: chunked"
REQUEST_SEEDS = (
    counted(b"hello", b"X-A: b"), counted(b"hello") + HIDDEN,
    head(CODED) + chunk(b"hello", b';a="b c"') + chunk(b"abc") + b"0\r\n\r\n",
    head(CODED) + chunk(b"hello") + b"0\r\nX-Sum: 1\r\n\r\n" + HIDDEN,
    head(b"Connection: close, X-A", b"X-A: b", method=b"GET"), counted(b"0\r\n\r\n" + HIDDEN, b"Accept: a/b, c/d"),
    head(method=b"GET", version=b"HTTP/1.0"), head(b"Expect: 100-continue", b"Content-Length: 3") + b"abc",
)
OK = b"HTTP/1.1 200 OK"
FRAMING = (b"content-length", b"transfer-encoding")  # in a trailer (RFC 9110 6.5.1): dropped, or the answer is cut
ANSWER_SEEDS = (
    lines(OK, b"Content-Type: a/b", b"Content-Length: 5") + b"hello", lines(OK, CODED) + chunk(b"hello",
        b";a=b") + chunk(b"abc") + b"0\r\n\r\n",
    lines(OK, CODED) + chunk(b"hello") + b"0\r\nX-Sum: 1\r\n\r\n", lines(OK, b"Connection: close") + b"until the end",
    lines(b"HTTP/1.1 103 Early Hints", b"Link: </a>") + lines(OK, b"Content-Length: 5") + b"hello",
        lines(b"HTTP/1.1 204 No Content", b"X-A: b"),
    lines(b"HTTP/1.0 200 OK", b"Content-Length: 5") + b"hello", lines(OK, b"Content-Length: 5") + b"hello" + lines(OK,
        b"Content-Length: 4") + b"evil",
)


def mutate(data, rng):
    """One to three small damages; the token stays whole."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(6)
        if kind == 0:
            changed = data[:at] + bytes([rng.choice(BYTES)]) + data[at + 1:]
        elif kind == 1:
            changed = data[:at] + bytes([rng.choice(BYTES)]) + data[at:]
        elif kind == 2:
            changed = data[:at] + data[at + rng.choice((1, 1, 2, 5)):]
        elif kind == 3:
            changed = data[:at] + rng.choice(FRAGMENTS) + data[at:]
        elif kind == 4:
            end = min(len(data), at + rng.randrange(1, 30))
            changed = data[:end] + data[at:end] + data[end:]
        else:
            line = data.find(b"\r\n", at) + 2
            changed = data[:line] + rng.choice(FRAGMENTS) + data[line:] if line > 1 else data
        if TOKEN in changed or TOKEN not in data:
            data = changed
    return data


def read_requests(data):
    """The requests that a strict server finds, up to the first fault."""
    reader, found = http1.Reader("request", lenient=True), []
    reader.feed(data.lstrip(b"\r\n") if data.startswith(b"\r\n") else data)
    try:
        while (event := reader.next_event()) is not None:
            if event[0] == "complete":
                found.append(event[1])
                while reader.buffer[:2] == b"\r\n":
                    del reader.buffer[:2]
    except http1.Violation:
        pass
    return found


def read_answer(data):
    """The final answer that a strict client finds, or None."""
    reader = http1.Reader("response", lenient=True)
    reader.expect(b"POST")
    reader.feed(data)
    try:
        while (event := reader.next_event()) is not None:
            if event[0] == "complete" and event[1].status >= 200:
                return event[1]
    except http1.Violation:
        return None
    return reader.eof()


def mutated_request(lane, data):
    """What was wrong with a proxy that got `data`, or nothing."""
    wanted = read_requests(data)
    mark = lane.recorder.mark()
    talk = lane.connect()
    talk.expect(*[m.method for m in wanted], *[b"POST"] * 3)
    talk.send([data])
    talk.half_close()
    talk.read_to_end()
    talk.close()
    if talk.violation or not talk.eof or talk.unfinished():
        return talk.brief()
    lane.recorder.wait(lambda: all(e.complete or e.ended for e in lane.recorder.since(mark)), lane.patience)
    entries = lane.recorder.since(mark)
    got = [entry for entry in entries if entry.complete]
    if any(entry.violation or (not entry.complete and not entry.ended) for entry in entries) or len(got) > len(wanted):
        return "the plugin got %s" % [entry.brief() for entry in entries]
    left = list(wanted)  # in order; the proxy may have answered some itself
    for entry in got:
        while left and (left[0].method, bytes(left[0].body)) != (entry.message.method, bytes(entry.message.body)):
            left.pop(0)
        if not left or entry.leaks:
            return "the plugin got what was not sent: %s" % entry.brief()
        left.pop(0)
    return ""


def mutated_answer(lane, data, token):
    wanted = read_answer(data)
    lane.recorder.script(token, Script([data] if data else [], "close"))
    talk = lane.connect()
    talk.expect(b"POST")
    talk.send([with_token(counted(b"ok"), token)])
    talk.read_answers(1)
    talk.close()
    lane.recorder.wait(lambda: all(e.ended for e in lane.recorder.seen if e.token == token), lane.patience)
    if talk.violation or len(talk.finals) > 1 or (not talk.finals and not talk.unfinished()):
        return talk.brief()
    if talk.finals:
        final = talk.finals[0]
        same = wanted and (final.status, bytes(final.body)) == (wanted.status, bytes(wanted.body))
        if not same and final.status != 502:
            return talk.brief()
    elif wanted and not any(name.lower() in FRAMING for name, _ in wanted.trailers):
        return "a valid answer was cut: " + talk.brief()
    return ""


def requests(name, seed, count):
    def scenario(lane):
        return [one(lane, number) for number in range(count)]

    def one(lane, number):
        rng = random.Random("%s/%d" % (name, number + 1000 * seed))
        data = with_token(mutate(rng.choice(REQUEST_SEEDS), rng), next(lane.tokens))
        fault = mutated_request(lane, data) or (number % 10 == 0 and lane.probe("on a new connection")) or ""
        return Check(REQUESTS, GROUP, "%s/%d" % (name, number), "", RULE, "at most what the strict reader finds", fault,
                "%r" % data)
    return scenario


def answers(name, seed, count):
    def scenario(lane):
        return [one(lane, number) for number in range(count)]

    def one(lane, number):
        rng = random.Random("%s/%d" % (name, number + 1000 * seed))
        token = next(lane.tokens)
        data = mutate(rng.choice(ANSWER_SEEDS), rng)
        fault = mutated_answer(lane, data, token) or (number % 10 == 0 and lane.probe("on a new connection")) or ""
        return Check(ANSWERS, GROUP, "%s/%d" % (name, number), "", RULE, "what the strict reader finds, or an error",
                fault, "%r" % data)
    return scenario


def scenarios(parts=8, count=int(os.environ.get("FRAMING_MUTANTS", "100"))):
    """Name → scenario; `parts` of `count` mutants for each direction (FRAMING_MUTANTS asks for more)."""
    made = {}
    for part in range(parts):
        made["mutated-requests-%d" % part] = requests("mutated-requests-%d" % part, part, count)
        made["mutated-answers-%d" % part] = answers("mutated-answers-%d" % part, part, count)
    return made
