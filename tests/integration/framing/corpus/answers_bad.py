"""Answers that no plugin may give: 502, or an answer that visibly ends too early; never a wrong one, never silence."""

from cases import CASE, TOKEN, Response, chunk, lines

OK = b"HTTP/1.1 200 OK"
EVIL = lines(b"HTTP/1.1 200 OK", b"X-Evil: 1", b"Content-Length: 4") + b"evil"
END = b"0\r\n\r\n"
CODING = b"Transfer-Encoding: chunked"
LENGTH = b"Content-Length: 5"


def bad(group, rule, **defaults):
    def make(name, raw, **options):
        return Response("bad-" + name, group, rule, raw, **{**defaults, **options})
    return make


def framing():
    case = bad("bad answers: framing", "RFC 9112 6.3")
    chunks = chunk(b"hello") + END
    for name, fields in [
        ("cl-te", [LENGTH, CODING]), ("te-cl", [CODING, LENGTH]), ("cl-0-te", [b"Content-Length: 0", CODING]),
        ("te-cl-case", [b"transfer-encoding: CHUNKED", b"content-length: 15"]),
        ("te-twice", [b"Transfer-Encoding: chunked, chunked"]), ("te-two-lines", [CODING, CODING]),
        ("te-identity", [b"Transfer-Encoding: identity"]),
        ("te-gzip", [b"Transfer-Encoding: gzip"]), ("te-gzip-chunked", [b"Transfer-Encoding: gzip, chunked"]),
        ("te-chunked-gzip", [b"Transfer-Encoding: chunked, gzip"]),
        ("te-unknown", [b"Transfer-Encoding: xchunked"]), ("te-empty", [b"Transfer-Encoding:"]),
        ("te-parameter", [b"Transfer-Encoding: chunked;a=b"]),
        ("te-vt", [b"Transfer-Encoding: \x0bchunked"]), ("te-quoted", [b'Transfer-Encoding: "chunked"']),
        ("te-nul", [b"Transfer-Encoding: chunked\0"]),
    ]:
        yield case(name, lines(OK, *fields) + chunks, then="close")
    yield case("te-1.0", lines(b"HTTP/1.0 200 OK", CODING) + chunks, then="close")
    yield case("te-1.0-keep-alive", lines(b"HTTP/1.0 200 OK", b"Connection: keep-alive", CODING) + chunks)
    for name, values in [
        ("differ", [b"5", b"6"]), ("differ-reversed", [b"6", b"5"]), ("differ-0", [b"0", b"5"]), ("list", [b"5, 6"]),
        ("plus", [b"+5"]), ("minus", [b"-5"]),
        ("hex", [b"0x5"]), ("letter", [b"5a"]), ("word", [b"five"]), ("empty", [b""]), ("blank-inside", [b"5 5"]),
        ("point", [b"5.0"]), ("underscore", [b"1_0"]),
        ("2^64", [b"18446744073709551616"]), ("2^64+5", [b"18446744073709551621"]), ("10^30", [b"1" + b"0" * 30]),
        ("quoted", [b'"5"']), ("vt", [b"5\x0b"]), ("good-and-bad", [b"5", b"x"]),
        ("good-and-empty", [b"5", b""]), ("nul", [b"5\0"]),
    ]:
        yield case("cl-" + name, lines(OK, *[b"Content-Length: " + v for v in values]) + b"hello", then="close")
    body = bad("bad answers: 204", "RFC 9112 6.3 rule 1: ends with its head, RFC 9110 8.6")
    yield body("204-with-length", lines(b"HTTP/1.1 204 No Content", LENGTH) + b"hello", status=204, body=b"",
            or_bad_gateway=True)
    yield body("204-with-chunks", lines(b"HTTP/1.1 204 No Content", CODING) + chunks, status=204, body=b"",
            or_bad_gateway=True)


def status_lines():
    case = bad("bad answers: status line", "RFC 9112 4, 2.3; RFC 9110 15", then="close")
    rest = lines(LENGTH) + b"hello"
    for name, line in [
        ("none", b""), ("text", b"hello"), ("status-99", b"HTTP/1.1 99 Low"), ("status-099", b"HTTP/1.1 099 Low"),
        ("status-000", b"HTTP/1.1 000 Zero"), ("status-0", b"HTTP/1.1 0 Zero"),
        ("status-1000", b"HTTP/1.1 1000 High"), ("status-abc", b"HTTP/1.1 abc OK"), ("status-20x", b"HTTP/1.1 20x OK"),
        ("status-20", b"HTTP/1.1 20 OK"),
        ("status-2000", b"HTTP/1.1 2000 OK"), ("status-minus", b"HTTP/1.1 -200 OK"),
        ("status-plus", b"HTTP/1.1 +200 OK"), ("status-hex", b"HTTP/1.1 0x200 OK"),
        ("status-empty", b"HTTP/1.1  OK"), ("no-status", b"HTTP/1.1"), ("no-status-blank", b"HTTP/1.1 "),
        ("two-blanks", b"HTTP/1.1  200 OK"), ("tab", b"HTTP/1.1\t200 OK"),
        ("leading-blank", b" HTTP/1.1 200 OK"), ("version-2.0", b"HTTP/2.0 200 OK"),
        ("version-0.9", b"HTTP/0.9 200 OK"), ("version-2", b"HTTP/2 200"),
        ("version-1.1x", b"HTTP/1.1x 200 OK"), ("version-11", b"HTTP/11 200 OK"), ("version-1.10", b"HTTP/1.10 200 OK"),
        ("version-lower", b"http/1.1 200 OK"), ("version-none", b"HTTP 200 OK"),
        ("version-x", b"HTTP/x.1 200 OK"), ("icy", b"ICY 200 OK"), ("rtsp", b"RTSP/1.0 200 OK"),
        ("request", b"POST /VolumeDriver.X HTTP/1.1"), ("reason-nul", b"HTTP/1.1 200 O\0K"),
        ("reason-cr", b"HTTP/1.1 200 O\rK"), ("reason-esc", b"HTTP/1.1 200 \x1b[0m"),
        ("status-glued", b"HTTP/1.1 200OK"), ("101", b"HTTP/1.1 101 Switching Protocols"),
    ]:
        yield case(name, line + b"\r\n" + rest)
    yield case("101-upgrade", lines(b"HTTP/1.1 101 Switching Protocols", b"Connection: Upgrade",
            b"Upgrade: tcp") + b"raw bytes")
    yield case("100-then-close", lines(b"HTTP/1.1 100 Continue"))
    yield case("103-then-garbage", lines(b"HTTP/1.1 103 Early Hints") + b"garbage\r\n\r\n")
    yield case("101-keep", lines(b"HTTP/1.1 101 Switching Protocols", b"Upgrade: tcp"), then="keep")


def fields():
    case = bad("bad answers: fields", "RFC 9112 2.2, 5; RFC 9110 5.5", then="close")
    for name, line in [
        ("no-colon", b"GARBAGE"), ("empty-name", b": v"), ("name-blank", b"X A: v"), ("name-nul", b"X\0A: v"),
        ("name-high", b"X\xe9: v"), ("name-paren", b"X(A): v"),
        ("value-nul", b"X-A: a\0b"), ("value-cr", b"X-A: a\rX-B: b"), ("value-lf", b"X-A: a\nX-B: b"),
        ("value-esc", b"X-A: \x1b"), ("value-del", b"X-A: \x7f"),
        ("value-vt", b"X-A: a\x0bb"), ("fold", b"X-A: a\r\n b"), ("fold-tab", b"X-A: a\r\n\tb"),
        ("fold-length", b"X-A: b\r\n Content-Length: 3"), ("crcrlf", b"X-A: a\r"),
        ("first-blank", b" X-A: b"),
    ]:
        yield case("field-" + name, lines(OK, line, LENGTH) + b"hello")
    yield case("fold-of-length", lines(OK, b"Content-Length:\r\n 5") + b"hello")
    yield case("fold-of-coding", lines(OK, b"Transfer-Encoding:\r\n chunked") + chunk(b"hello") + END)
    for name, raw in [
        ("lf-everywhere", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"),
        ("lf-status", b"HTTP/1.1 200 OK\n" + lines(LENGTH) + b"hello"),
        ("lf-final", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello"),
        ("cr-everywhere", b"HTTP/1.1 200 OK\rContent-Length: 5\r\rhello"),
        ("leading-crlf", b"\r\n" + lines(OK, LENGTH) + b"hello"), ("zeros", b"\0" * 64),
        ("binary", bytes(range(256)) * 4),
        ("tls-alert", bytes.fromhex("15030100020228")), ("http2", bytes.fromhex("000012040000000000") + b"\0" * 18),
    ]:
        yield case(name, raw)
    big = bad("bad answers: sizes", "RFC 9110 5.4, DESIGN.md: limits", then="close", variants=("whole",))
    meg = 1 << 20
    yield big("value-1MiB", lines(OK, LENGTH, b"X-A: " + b"v" * meg) + b"hello")
    yield big("name-1MiB", lines(OK, LENGTH, b"n" * meg + b": v") + b"hello")
    yield big("reason-1MiB", lines(b"HTTP/1.1 200 " + b"r" * meg, LENGTH) + b"hello")
    yield big("fields-20000", lines(OK, LENGTH, *[b"X-%d: v" % i for i in range(20000)]) + b"hello")
    yield big("endless-head", OK + b"\r\n" + b"X-A: v\r\n" * 200000)
    yield big("endless-line", b"A" * (2 * meg))


def chunks():
    """The head is fine: it may have been forwarded before the chunks turn bad."""
    case = bad("bad answers: chunks", "RFC 9112 7.1", then="close", or_truncated=True)
    start = lines(OK, CODING)
    for name, body in [
        ("hex-prefix", b"0x5\r\nhello\r\n" + END), ("plus", b"+5\r\nhello\r\n" + END),
        ("minus", b"-5\r\nhello\r\n" + END), ("underscore", b"5_\r\nhello\r\n" + END),
        ("empty", b"\r\nhello\r\n" + END),
        ("letter", b"g\r\nhello\r\n" + END), ("blank-before", b" 5\r\nhello\r\n" + END),
        ("blank-after", b"5 \r\nhello\r\n" + END), ("17-digits", b"10000000000000005\r\nhello\r\n" + END),
        ("1000-digits", b"5" * 1000 + b"\r\nhello"), ("size-lf", b"5\nhello\r\n" + END), ("all-lf", b"5\nhello\n0\n\n"),
        ("data-lf", b"5\r\nhello\n" + END), ("final-lf", b"5\r\nhello\r\n0\r\n\n"),
        ("data-too-long", b"3\r\nhello\r\n" + END), ("data-too-short", b"7\r\nhello\r\n" + END),
        ("no-crlf", b"5\r\nhello5\r\nworld\r\n" + END), ("extension-nul", b"5;\0\r\nhello\r\n" + END),
        ("extension-lf", b"5;a\nb\r\nhello\r\n" + END), ("extension-endless",
        b"5;" + b"a" * (1 << 20) + b"\r\nhello\r\n" + END), ("trailer-no-colon", b"5\r\nhello\r\n0\r\nGARBAGE\r\n\r\n"),
        ("trailer-nul", b"5\r\nhello\r\n0\r\nX-A: \0\r\n\r\n"), ("trailer-1MiB",
        b"5\r\nhello\r\n0\r\nX-A: " + b"v" * (1 << 20) + b"\r\n\r\n"),
        ("second-bad", chunk(b"first") + b"0x5\r\nhello\r\n" + END),
        ("crcrlf", b"5\r\r\nhello\r\n" + END), ("text", b"hello"),
    ]:
        yield case("chunk-" + name, start + body)


def endings():
    case = bad("bad answers: truncated", "RFC 9112 8", then="close", or_truncated=True)
    for name, body in [
        ("nothing", b""), ("size", b"5"), ("size-crlf", b"5\r\n"), ("data", b"5\r\nhel"),
        ("data-no-crlf", b"5\r\nhello"), ("no-last", chunk(b"hello")), ("last", chunk(b"hello") + b"0"),
        ("last-crlf", chunk(b"hello") + b"0\r\n"), ("last-crlf-cr", chunk(b"hello") + b"0\r\n\r"),
        ("trailer", chunk(b"hello") + b"0\r\nX-A: b\r\n"),
    ]:
        yield case("cut-chunked-" + name, lines(OK, CODING) + body)
    for name, raw in [("0-of-5", lines(OK, LENGTH)), ("4-of-5", lines(OK, LENGTH) + b"hell"),
            ("half-1MiB", lines(OK, b"Content-Length: 1048576") + b"x" * (1 << 19)),
                      ("1-of-2^40", lines(OK, b"Content-Length: 1099511627776") + b"x"),
                      ("after-100", lines(b"HTTP/1.1 100 Continue") + lines(OK, LENGTH) + b"hel")]:
        yield case("cut-length-" + name, raw)
        yield case("cut-length-half-close-" + name, raw, then="half-close")
    yield case("cut-length-reset", lines(OK, LENGTH) + b"hel", then="reset")
    yield case("cut-chunked-reset", lines(OK, CODING) + b"5\r\nhel", then="reset")
    none = bad("bad answers: truncated", "RFC 9112 8: no complete head")
    for then in ("close", "reset", "half-close"):
        for name, raw in [("nothing", b""), ("status", b"HTTP/1.1 200"), ("status-line", OK + b"\r\n"),
                ("field", OK + b"\r\nContent-Le"), ("no-empty-line", OK + b"\r\nContent-Length: 5\r\n")]:
            yield none("cut-head-%s-%s" % (name, then), raw, then=then)


def extra():
    """More bytes than one answer: they are nobody's answer, least of all the next caller's."""
    rule = "RFC 9112 6.3, 9.2: bytes after the answer belong to no request"
    body = b'{"Case": "' + TOKEN + b'"}'
    good = lines(OK, CASE, b"Content-Length: %d" % len(body)) + body
    coded = lines(OK, CODING) + chunk(body) + END
    for name, tail in [("answer", EVIL), ("byte", b"x"), ("crlf", b"\r\n"), ("five-answers", EVIL * 5),
            ("half-answer", EVIL[:20]), ("64KiB", b"z" * (1 << 16)), ("100", lines(b"HTTP/1.1 100 Continue"))]:
        case = bad("bad answers: more than one", rule, status=200, or_bad_gateway=True, absent=(b"evil", b"X-Evil"))
        yield case("extra-length-" + name, good + tail, body=body)
        yield case("extra-chunked-" + name, coded + tail, body=body)
        yield case("extra-late-" + name, good, body=body, late=tail, variants=("whole",))
        yield case("extra-close-" + name, good + tail, body=body, then="close", variants=("whole",))
    case = bad("bad answers: more than one", rule, or_bad_gateway=True, absent=(b"evil", b"X-Evil"))
    for name, raw, status, method in [
        ("204-then-answer", lines(b"HTTP/1.1 204 No Content") + EVIL, 204, b"POST"),
        ("304-then-answer", lines(b"HTTP/1.1 304 Not Modified") + EVIL, 304, b"POST"),
        ("HEAD-then-body", lines(OK, b"Content-Length: 4") + b"evil", 200, b"HEAD"),
        ("HEAD-then-answer", lines(OK, b"Content-Length: 4") + EVIL, 200, b"HEAD"),
        ("304-with-body", lines(b"HTTP/1.1 304 Not Modified", b"Content-Length: 4") + b"evil", 304, b"POST"),
        ("length-0-then-body", lines(OK, b"Content-Length: 0") + EVIL, 200, b"POST"),
        ("204-length-body", lines(b"HTTP/1.1 204 No Content", b"Content-Length: %d" % len(EVIL)) + EVIL, 204, b"POST"),
    ]:
        yield case("extra-" + name, raw, status=status, method=method)


CASES = [*framing(), *status_lines(), *fields(), *chunks(), *endings(), *extra()]
