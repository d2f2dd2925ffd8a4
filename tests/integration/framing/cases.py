"""What a case is: bytes in, what may come out, and what the plugin may have received.

The placeholder TOKEN in a case's bytes is replaced, at every run, by a fresh token of the same length; it tells which
run any byte belongs to, wherever it turns up.
"""

import itertools
import random
from dataclasses import dataclass, field, replace

TOKEN = b"~~case-id~~~"
X = b"/VolumeDriver.X"
HOST = b"Host: plugin"
CASE = b"X-Case: " + TOKEN
HIDDEN = b"POST /VolumeDriver.Hidden HTTP/1.1\r\nHost: plugin\r\nX-Case: " + TOKEN + b"\r\nContent-Length: 0\r\n\r\n"

BAD_REQUEST = frozenset({400})
BAD_FRAMING = frozenset({400, 411, 501})
BAD_CODING = frozenset({400, 501})
BAD_VERSION = frozenset({400, 505})
TOO_LARGE = frozenset({400, 413, 414, 431})


def lines(*parts):
    """A head: the given lines, each ended by CRLF, and the empty line."""
    return b"\r\n".join(parts) + b"\r\n\r\n"


def head(*fields, method=b"POST", target=X, version=b"HTTP/1.1"):
    """A head with Host and the case's own field before the given ones."""
    return lines(b"%s %s %s" % (method, target, version), HOST, CASE, *fields)


def counted(body, *fields, **start):
    return head(*fields, b"Content-Length: %d" % len(body), **start) + body


def chunk(data, extension=b""):
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


@dataclass(frozen=True)
class Wanted:
    """One request that the plugin must receive. `fields`: (name, list of values joined in order); `absent`: bytes that
    must appear nowhere in its head."""

    method: bytes = b"POST"
    target: bytes = X
    body: bytes = b""
    fields: tuple = ()
    absent: tuple = ()


@dataclass(frozen=True)
class Accepted:
    """Requests that must reach the plugin intact and be answered, in order, on one connection.

    `closes`: the proxy must close after the last answer; otherwise a further call on the connection is tried.
    `or_refused`: the RFC leaves it open; a refusal with one of these statuses is as good.
    `waits_for_100`: the position in `wire` where the client waits for an interim answer before it goes on.
    """

    name: str
    group: str
    rule: str
    wire: bytes
    wanted: tuple
    closes: bool = False
    or_refused: frozenset = frozenset()
    waits_for_100: int = 0
    half_close: bool = False
    no_interim: bool = False
    every_cut: bool = False


@dataclass(frozen=True)
class Refused:
    """Bytes that must be answered with a status of `statuses` and the connection closed.

    `answered`: valid requests before the bad one, which are served. `partial`: the head is valid, so the beginning of
    the request may reach the plugin, but never its end. `may_wait`: no complete head is in the bytes, so the proxy may
    wait for more until the client has closed its side, and then close without a word.
    """

    name: str
    group: str
    rule: str
    wire: bytes
    statuses: frozenset = BAD_REQUEST
    answered: int = 0
    partial: bool = False
    may_wait: bool = False


@dataclass(frozen=True)
class CutShort:
    """A request that ends before it is complete. `leave`: "close" (both directions) or "half-close"."""

    name: str
    group: str
    rule: str
    wire: bytes
    leave: str
    partial: bool = True
    answered: int = 0


@dataclass(frozen=True)
class Own:
    """Requests on one connection, some of which the broker answers itself: `statuses` in order. What has status 200 and
    is no handshake reaches the plugin; nothing else does. Only for brokerd.
    """

    name: str
    group: str
    rule: str
    wire: bytes
    methods: tuple
    statuses: tuple
    forwarded: int = 0


@dataclass(frozen=True)
class Response:
    """One answer of the plugin to one call: `raw`, then the connection is treated as `then` says.

    The client must get `status` and `body`, with `fields` in the head and `absent` nowhere in the answer. A status of 0
    means: 502, or (where `or_truncated`) an answer that visibly ends too early. `or_bad_gateway`: a 502 is as good.
    `late` follows when the answer has long been complete; `early` answers before the request's body, of `upload` bytes,
    has come; `interim` must have been forwarded too.
    """

    name: str
    group: str
    rule: str
    raw: bytes
    status: int = 0  # 0: must become a 502
    body: bytes = b""
    fields: tuple = ()
    absent: tuple = ()
    then: str = "keep"
    method: bytes = b"POST"
    version: bytes = b"HTTP/1.1"
    or_bad_gateway: bool = False
    or_truncated: bool = False
    late: bytes = b""
    early: bool = False
    upload: int = 0
    interim: int = 0
    variants: tuple = ("whole", "bytewise", "split")


def token_source(prefix):
    """Fresh tokens of TOKEN's length."""
    for number in itertools.count():
        yield (b"%s%08x" % (prefix, number))[: len(TOKEN)].ljust(len(TOKEN), b"z")


def with_token(data, token):
    return data.replace(TOKEN, token)


def instantiate(case, token):
    """The case with its token in place of the placeholder."""
    changes = {}
    for name in ("wire", "raw", "body", "late"):
        if hasattr(case, name):
            changes[name] = with_token(getattr(case, name), token)
    if isinstance(case, Accepted):
        changes["wanted"] = tuple(replace(w, body=with_token(w.body, token)) for w in case.wanted)
    return replace(case, **changes)


def pieces(wire, variant, name):
    """The segments in which a variant sends `wire`. Long ones are cut at random positions, always the same ones."""
    if variant == "whole":
        return [wire]
    rng = random.Random("%s/%s" % (name, variant))
    if variant.startswith("cut-"):
        at = int(variant[4:])
        return [wire[:at], wire[at:]]
    if variant == "bytewise" and len(wire) <= 2048:
        return [wire[i:i + 1] for i in range(len(wire))]
    if variant == "bytewise":  # the head byte by byte, the rest in random pieces
        start = 512
        return [wire[i:i + 1] for i in range(start)] + cut(wire[start:], rng, 60)
    return cut(wire, rng, 7 if len(wire) < 4096 else 25)


def cut(data, rng, count):
    points = sorted(rng.sample(range(1, len(data)), min(count, len(data) - 1))) if len(data) > 1 else []
    return [data[a:b] for a, b in zip([0, *points], [*points, len(data)])]
