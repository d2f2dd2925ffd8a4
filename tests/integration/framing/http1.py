"""A strict HTTP/1.1 reader: the judge of every byte that the suite sees.

It accepts what RFC 9112 and RFC 9110 let a *sender* generate and nothing else: no tolerance for bare LF, folded lines,
doubled framing fields, or blanks where the grammar has none. What a proxy emits must pass it in both directions.
"""

import re
from collections import deque
from dataclasses import dataclass, field

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
FIELD_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*\Z")
TARGET = re.compile(rb"[\x21-\x22\x24-\x7e]+\Z")  # visible ASCII without '#': a target carries no fragment
HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|([A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(:[0-9]*)?\Z")
CHUNK_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,16})"
    rb"([ \t]*;[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
    rb"([ \t]*=[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+"
    rb"|\"([\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*\"))?)*\Z"
)
STATUS_LINE = re.compile(rb"HTTP/(1\.[01]) ([1-5][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)\Z")

#: RFC 9110 7.6.1 and 11.7: fields of one connection. A proxy consumes them, whoever names them in Connection.
HOP_BY_HOP = (b"keep-alive", b"proxy-connection", b"te", b"upgrade", b"proxy-authorization", b"proxy-authenticate")
NOT_IN_TRAILERS = (b"content-length", b"transfer-encoding", b"host", b"connection", b"trailer", *HOP_BY_HOP)


class Violation(Exception):
    """The stream is not HTTP/1.1 as a sender may generate it; the text names the rule."""


@dataclass
class Message:
    """One request or response. `fields` keep order and spelling; names are compared in lower case by get_all()."""

    method: bytes = b""
    target: bytes = b""
    version: bytes = b""
    status: int = 0
    fields: list = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    trailers: list = field(default_factory=list)
    framing: str = "none"  # none, length, chunked, close
    length: int = 0
    complete: bool = False

    def get_all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name):
        return next(iter(self.get_all(name)), None)

    def options(self):
        """The lower-case members of every Connection field."""
        joined = b",".join(self.get_all(b"connection"))
        return [option.strip().lower() for option in joined.split(b",") if option.strip()]


class Reader:
    """Reads one direction of one connection, in any pieces.

    feed() takes bytes; next_event() gives ("head", message), ("complete", message) or None for "needs more" and raises
    Violation. A reader of responses must be told the method of each request with expect(), in order. `lenient` lets pass
    what only a sender must not do and a recipient may drop: framing fields in 1xx, 204 and trailers.
    """

    def __init__(self, kind, lenient=False):
        self.kind = kind
        self.lenient = lenient
        self.buffer = bytearray()
        self.state = "start"
        self.message = None
        self.methods = deque()

    def expect(self, method):
        self.methods.append(method)

    def feed(self, data):
        self.buffer += data

    def idle(self):
        """No message has begun."""
        return self.state == "start" and not self.buffer

    def eof(self):
        """The sender closed: the message this completes (a close-delimited response), else None."""
        if self.state != "until-close":
            return None
        self.state = "start"
        self.message.complete = True
        return self.message

    def next_event(self):
        while True:
            step = getattr(self, "_" + self.state.replace("-", "_"))
            result = step()
            if result is not True:
                return result

    # Each step returns True to go on, None when it needs more bytes, or an event.

    def _line(self):
        end = self.buffer.find(b"\r\n")
        seen = bytes(self.buffer if end < 0 else self.buffer[:end])
        if b"\n" in seen:
            raise Violation("bare LF (RFC 9112 2.2): %r" % seen[-60:])
        if b"\r" in (seen[:-1] if end < 0 else seen):
            raise Violation("bare CR (RFC 9112 2.2): %r" % seen[-60:])
        if end < 0:
            return None
        del self.buffer[: end + 2]
        return seen

    def _start(self):
        if not self.buffer:
            return None
        line = self._line()
        if line is None:
            return None
        self.message = Message()
        if self.kind == "request":
            self._request_line(line)
        else:
            self._status_line(line)
        self.state = "fields"
        return True

    def _request_line(self, line):
        parts = line.split(b" ")
        if len(parts) != 3:
            raise Violation("request line (RFC 9112 3): %r" % line[:80])
        message = self.message
        message.method, message.target, version = parts
        if not TOKEN.match(message.method):
            raise Violation("method is no token (RFC 9112 3.1): %r" % message.method[:40])
        if not TARGET.match(message.target):
            raise Violation("request target (RFC 9112 3.2): %r" % message.target[:80])
        if version not in (b"HTTP/1.1", b"HTTP/1.0"):
            raise Violation("version (RFC 9112 2.3): %r" % version[:20])
        message.version = version[5:]

    def _status_line(self, line):
        match = STATUS_LINE.match(line)
        if not match:
            raise Violation("status line (RFC 9112 4): %r" % line[:80])
        self.message.version = match[1]
        self.message.status = int(match[2])

    def _fields(self):
        while True:
            line = self._line()
            if line is None:
                return None
            if not line:
                break
            self.message.fields.append(parse_field(line))
        if self.kind == "request":
            check_host(self.message)
            self._frame(bodiless=False)
        else:
            self._frame_response()
        return ("head", self.message)

    def _frame_response(self):
        status = self.message.status
        framed = self.message.get_all(b"content-length") or self.message.get_all(b"transfer-encoding")
        if 100 <= status < 200:
            if framed and not self.lenient:
                raise Violation("framing field in a 1xx (RFC 9110 8.6, RFC 9112 6.1)")
            self.state = "done"
            return
        if not self.methods:
            raise Violation("an answer that nobody asked for: status %d" % status)
        method = self.methods.popleft()
        if status == 204 and framed and not self.lenient:
            raise Violation("framing field in a 204 (RFC 9110 8.6, RFC 9112 6.1)")
        self._frame(bodiless=method == b"HEAD" or status in (204, 304))

    def _frame(self, bodiless):
        message = self.message
        codings = message.get_all(b"transfer-encoding")
        lengths = message.get_all(b"content-length")
        if codings and lengths:
            raise Violation("Content-Length and Transfer-Encoding (RFC 9112 6.2)")
        if codings:
            if b",".join(codings).lower() != b"chunked":
                raise Violation("Transfer-Encoding (RFC 9112 6.1): %r" % codings)
            if message.version == b"1.0":
                raise Violation("Transfer-Encoding in HTTP/1.0 (RFC 9112 6.1)")
            message.framing = "chunked"
        elif lengths:
            if len(lengths) > 1 or not re.fullmatch(rb"[0-9]{1,64}", lengths[0]) or int(lengths[0]) >= 1 << 63:
                raise Violation("Content-Length (RFC 9110 8.6): %r" % lengths)
            message.framing = "length"
            message.length = int(lengths[0])
        elif self.kind == "response" and not bodiless:
            message.framing = "close"
        if bodiless or message.framing == "none":
            self.state = "done"
        else:
            self.state = {"length": "counted", "chunked": "size", "close": "until-close"}[message.framing]

    def _counted(self):
        missing = self.message.length - len(self.message.body)
        self._take(missing)
        if len(self.message.body) < self.message.length:
            return None
        self.state = "done"
        return True

    def _take(self, count):
        self.message.body += self.buffer[:count]
        del self.buffer[:count]

    def _size(self):
        line = self._line()
        if line is None:
            return None
        match = CHUNK_LINE.match(line)
        if not match:
            raise Violation("chunk line (RFC 9112 7.1): %r" % line[:80])
        self.missing = int(match[1], 16)
        self.state = "data" if self.missing else "trailers"
        return True

    def _data(self):
        taken = min(self.missing, len(self.buffer))
        self._take(taken)
        self.missing -= taken
        if self.missing or len(self.buffer) < 2:
            return None
        if self.buffer[:2] != b"\r\n":
            raise Violation("no CRLF after chunk data (RFC 9112 7.1): %r" % bytes(self.buffer[:20]))
        del self.buffer[:2]
        self.state = "size"
        return True

    def _trailers(self):
        while True:
            line = self._line()
            if line is None:
                return None
            if not line:
                break
            name, value = parse_field(line)
            if name.lower() in NOT_IN_TRAILERS and not self.lenient:
                raise Violation("field %r in a trailer (RFC 9110 6.5.1)" % name)
            self.message.trailers.append((name, value))
        self.state = "done"
        return True

    def _until_close(self):
        self._take(len(self.buffer))
        return None

    def _done(self):
        self.state = "start"
        self.message.complete = True
        return ("complete", self.message)


def parse_field(line):
    if line[:1] in (b" ", b"\t"):
        raise Violation("folded line (RFC 9112 5.2): %r" % line[:60])
    name, colon, value = line.partition(b":")
    if not colon or not TOKEN.match(name):
        raise Violation("field name (RFC 9112 5.1): %r" % line[:60])
    if not FIELD_VALUE.match(value):
        raise Violation("control character in a value (RFC 9110 5.5): %r" % line[:60])
    return name, value.strip(b" \t")


def check_host(message):
    hosts = message.get_all(b"host")
    if len(hosts) > 1 or (not hosts and message.version == b"1.1"):
        raise Violation("%d Host fields (RFC 9112 3.2)" % len(hosts))
    if hosts and not HOST.match(hosts[0]):
        raise Violation("Host value (RFC 9112 3.2): %r" % hosts[0][:60])


def connection_leaks(message):
    """What a forwarded message carries although it belonged to the other connection (RFC 9110 7.6.1)."""
    leaks = [name for name, _ in message.fields if name.lower() in HOP_BY_HOP]
    leaks += [b"Connection: " + option for option in message.options() if option not in (b"close", b"keep-alive")]
    return leaks
