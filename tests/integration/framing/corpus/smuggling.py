"""Request smuggling: a hidden second request must never become one, whatever else happens.

Where the outer request is itself valid (the hidden one is body text), it must arrive as a body, byte for byte.
"""

from cases import BAD_CODING, BAD_FRAMING, CASE, HIDDEN, HOST, X, Accepted, Refused, Wanted, chunk, counted, head, lines

CODING = b"Transfer-Encoding: chunked"
END = b"0\r\n\r\n"
STATUSES = BAD_CODING | BAD_FRAMING


def refused(rule, **defaults):
    def make(name, wire, **options):
        return Refused("smuggle-" + name, "smuggling", rule, wire, **{"statuses": STATUSES, **defaults, **options})
    return make


def length_against_coding():
    case = refused("RFC 9112 6.3 rule 3, 11.2")
    tail = END + HIDDEN
    size = b"Content-Length: %d" % len(tail)
    for name, fields in [
        ("CL.TE", [size, CODING]), ("TE.CL", [CODING, b"Content-Length: 4"]),
        ("CL.TE-case", [size, b"transfer-encoding: CHUNKED"]),
        ("CL.TE-vt", [size, b"Transfer-Encoding:\x0bchunked"]), ("CL.TE-ff", [size, b"Transfer-Encoding: \x0cchunked"]),
        ("CL.TE-nul", [size, b"Transfer-Encoding: chunked\0"]), ("CL.TE-x", [size, b"Transfer-Encoding: xchunked"]),
        ("CL.TE-quoted", [size, b'Transfer-Encoding: "chunked"']), ("CL.TE-blank-colon",
        [size, b"Transfer-Encoding : chunked"]),
        ("CL.TE-tab-colon", [size, b"Transfer-Encoding\t: chunked"]), ("CL.TE-fold",
        [size, b"Transfer-Encoding:\r\n chunked"]),
        ("CL.TE-fold-name", [size, b"Transfer-Encoding\r\n : chunked"]),
        ("CL.TE-leading-blank", [size, b" Transfer-Encoding: chunked"]),
        ("CL.TE-cr-hidden", [size, b"X-A: b\rTransfer-Encoding: chunked"]),
        ("CL.TE-lf-hidden", [size, b"X-A: b\nTransfer-Encoding: chunked"]),
        ("CL.TE-lfcr-hidden", [size, b"X-A: b\n\rTransfer-Encoding: chunked"]),
        ("CL.TE-identity", [size, CODING, b"Transfer-Encoding: identity"]),
        ("CL.TE-cow", [size, CODING, b"Transfer-Encoding: cow"]), ("CL.TE-cow-first",
        [size, b"Transfer-Encoding: cow", CODING]),
        ("CL.TE-cow-list", [size, b"Transfer-Encoding: chunked, cow"]),
        ("CL.TE-parameter", [size, b"Transfer-Encoding: chunked;a=b"]),
        ("CL.TE-empty", [size, b"Transfer-Encoding:"]), ("CL.TE-cr-colon", [size, b"Transfer-Encoding:\rchunked"]),
        ("CL.TE-high", [size, b"Transfer-Encoding: chunked\x85"]), ("CL.TE-nbsp",
        [size, b"Transfer-Encoding:\xa0chunked"]),
        ("CL.TE-comma", [size, b"Transfer-Encoding: ,chunked"]), ("CL.TE-nul-name",
        [size, b"Transfer-Encoding\0: chunked"]),
    ]:
        yield case(name, head(*fields) + tail)
    inner = chunk(HIDDEN)
    yield case("TE.CL-inner", head(b"Content-Length: %d" % (inner.index(b"\n") + 1), CODING) + inner + END)
    yield case("CL.TE-1.0", head(size, CODING, b"Connection: keep-alive", version=b"HTTP/1.0") + tail)
    yield case("TE.TE-two-lines", head(CODING, CODING) + tail)
    yield case("TE.TE-identity", head(CODING, b"Transfer-Encoding: identity") + tail)


def lengths_and_lines():
    case = refused("RFC 9112 6.3 rule 5, 11.2")
    size = len(HIDDEN)
    for name, fields in [
        ("CL.CL", [b"Content-Length: 0", b"Content-Length: %d" % size]),
        ("CL.CL-reversed", [b"Content-Length: %d" % size, b"Content-Length: 0"]),
        ("CL-list", [b"Content-Length: 0, %d" % size]), ("CL-blank-colon",
        [b"Content-Length: 0", b"Content-Length : %d" % size]),
        ("CL-empty", [b"Content-Length:"]), ("CL-overflow", [b"Content-Length: 18446744073709551616"]),
        ("CL-plus", [b"Content-Length: +0"]),
        ("CL-vt", [b"Content-Length:\x0b%d" % size]), ("CL-fold", [b"Content-Length:\r\n %d" % size]),
        ("CL-lf-hidden", [b"X-A: b\nContent-Length: %d" % size]),
        ("CL-cr-hidden", [b"X-A: b\rContent-Length: %d" % size]), ("CL-nul", [b"Content-Length: %d\0" % size]),
        ("CL-octal", [b"Content-Length: 0o0"]),
    ]:
        yield case(name, head(*fields) + HIDDEN)
    field = refused("RFC 9110 5.5, RFC 9112 2.2, 5.1", statuses=STATUSES | {405, 505})
    for name, wire in [
        ("lf-lf-in-value", head(b"X-A: a\n\n" + HIDDEN[:-4], b"Content-Length: 0")),
        ("cr-cr-in-value", head(b"X-A: a\r\r" + HIDDEN, b"Content-Length: 0")),
        ("empty-name-cuts", head(b": x", b"Content-Length: %d" % size) + HIDDEN),
        ("nul-cuts", head(b"X-A: a\0", b"Content-Length: %d" % size) + HIDDEN),
        ("no-colon-cuts", head(b"X-A", b"Content-Length: %d" % size) + HIDDEN),
        ("target-crlf", b"POST /VolumeDriver.X\r\n\r\n" + HIDDEN),
        ("0.9-then-more", b"GET /VolumeDriver.X\r\n" + HIDDEN), ("host-crlf",
        lines(b"POST " + X + b" HTTP/1.1", b"Host: a\rb", CASE) + HIDDEN),
        ("missing-host-then-more", lines(b"POST " + X + b" HTTP/1.1", CASE) + HIDDEN),
        ("two-hosts-then-more", head(HOST) + HIDDEN),
        ("bad-version-then-more", head(version=b"HTTP/2.0") + HIDDEN),
        ("bad-version-1.x-then-more", head(version=b"HTTP/1.1 ") + HIDDEN),
        ("header-after-fold", head(b"X-A: b", b" c", b"Content-Length: %d" % size) + HIDDEN),
    ]:
        yield field(name, wire)


def in_chunks():
    case = refused("RFC 9112 7.1, 11.2", partial=True)
    start = head(CODING)
    for name, body in [
        ("extension-lf", b"5;\nhello\r\n" + END), ("extension-lf-line", b"2;\nxx\r\n%x\r\n" % len(HIDDEN) + END),
        ("extension-cr", b"5;a=\rb\r\nhello\r\n" + END), ("size-overflow", b"10000000000000000\r\n\r\n"),
        ("size-wraps", b"1000000000000000A\r\nhello\r\n"),
        ("size-hex", b"0x0\r\n\r\n"), ("size-minus", b"-0\r\n\r\n"), ("size-empty", b"\r\n"),
        ("size-plus", b"+0\r\n\r\n"), ("size-blank", b" 0\r\n\r\n"),
        ("data-lf", b"5\r\nhello\n" + END), ("data-missing-crlf", b"5\r\nhello" + END),
        ("trailer-lf", b"0\r\nX: y\n\r\n"),
        ("trailer-fold", b"0\r\nX: y\r\n z\r\n\r\n"), ("trailer-request", b"0\r\n" + HIDDEN),
        ("final-crcrlf", b"0\r\n\r\r\n"), ("size-nul", b"0\0\r\n\r\n"),
        ("size-semicolon-nul", b"0;\0\r\n\r\n"), ("size-underscore", b"0_0\r\n\r\n"),
        ("quoted-crlf", b'5;a="\r\n0\r\n\r\n"\r\nhello\r\n' + END),
    ]:
        yield case("chunk-" + name, start + body + HIDDEN)


def as_body():
    def case(name, wire, *wanted, **options):
        return Accepted("smuggle-" + name, "smuggling", "RFC 9112 6.3: a body is a body", wire, wanted, **options)
    for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"POST"):
        yield case("body-of-" + method.decode(), counted(HIDDEN, method=method), Wanted(method=method, body=HIDDEN))
    yield case("chunk-holds-request", head(CODING) + chunk(HIDDEN) + END, Wanted(body=HIDDEN))
    yield case("GET-chunk-holds-request", head(CODING, method=b"GET") + chunk(HIDDEN) + END,
            Wanted(method=b"GET", body=HIDDEN))
    yield case("quoted-extension", head(CODING) + b'5;a="0;0;0"\r\nhello\r\n' + END, Wanted(body=b"hello"))
    for name, option in [("length", b"Content-Length"), ("coding", b"Transfer-Encoding"), ("host", b"Host"),
            ("several", b"close, Content-Length, Host")]:
        # RFC 9110 7.6.1: fields for every recipient are no connection options; removing them would unframe the body.
        closes = b"close" in option
        yield case("connection-names-" + name, head(b"Connection: " + option,
                b"Content-Length: %d" % len(HIDDEN)) + HIDDEN,
                   Wanted(body=HIDDEN), or_refused=frozenset({400}), closes=closes)
    yield case("connection-names-coding-chunked", head(b"Connection: Transfer-Encoding", CODING) + chunk(HIDDEN) + END,
               Wanted(body=HIDDEN), or_refused=frozenset({400}))
    yield case("underscore-length", head(b"Content_Length: 3", b"Transfer_Encoding: chunked",
            b"Content-Length: %d" % len(HIDDEN)) + HIDDEN,
               Wanted(body=HIDDEN))


CASES = [*length_against_coding(), *lengths_and_lines(), *in_chunks(), *as_body()]
