"""Answers of the plugin that RFC 9112 allows: the client must get the same status and body, rightly framed."""

import random

from cases import TOKEN, Response, chunk, lines

OK = b"HTTP/1.1 200 OK"
BODY = b'{"Mountpoint": "/m", "Case": "' + TOKEN + b'"}'
END = b"0\r\n\r\n"
CODING = b"Transfer-Encoding: chunked"
BIG = random.Random(502).randbytes((1 << 20) + 3)
ALL_BYTES = bytes(range(256))


def good(group, rule):
    def make(name, raw, status=200, body=BODY, **options):
        return Response("answer-" + name, group, rule, raw, status, body, **options)
    return make


def counted(body, *fields, status=OK):
    return lines(status, *fields, b"Content-Length: %d" % len(body)) + body


def chunked(*parts, status=OK, end=END, fields=()):
    return lines(status, *fields, CODING) + b"".join(chunk(part) for part in parts) + end


def framings():
    case = good("answers: framing", "RFC 9112 6.3")
    yield case("length", counted(BODY))
    yield case("length-0", counted(b""), body=b"")
    yield case("length-zeros", lines(OK, b"Content-Length: 00%d" % len(BODY)) + BODY)
    yield case("length-blanks", lines(OK, b"content-length:\t %d \t" % len(BODY)) + BODY)
    yield case("length-all-bytes", counted(ALL_BYTES), body=ALL_BYTES)
    yield case("length-1MiB", counted(BIG), body=BIG, variants=("whole", "split"))
    yield case("length-looks-like-head", counted(b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
            body=b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
    yield case("length-then-close", counted(BODY), then="close")
    yield case("length-connection-close", counted(BODY, b"Connection: close"), then="close")
    yield case("chunked", chunked(BODY))
    yield case("chunked-bytes", chunked(*[ALL_BYTES[i:i + 1] for i in range(64)]), body=ALL_BYTES[:64])
    yield case("chunked-empty", chunked(), body=b"")
    yield case("chunked-1MiB", chunked(*[BIG[i:i + 70000] for i in range(0, len(BIG), 70000)]), body=BIG,
            variants=("whole", "split"))
    yield case("chunked-upper", lines(OK, CODING) + b"%X\r\n" % len(BODY) + BODY + b"\r\n" + END)
    yield case("chunked-zeros", lines(OK, CODING) + b"000%x\r\n" % len(BODY) + BODY + b"\r\n000\r\n\r\n")
    yield case("chunked-extension", lines(OK,
            CODING) + b'%x;a="b;c"; d=e\r\n' % len(BODY) + BODY + b"\r\n0;last\r\n\r\n")
    yield case("chunked-trailer", chunked(BODY, end=b"0\r\nX-Sum: 1\r\n\r\n"))
    yield case("chunked-like-end", chunked(b"0\r\n\r\n", BODY), body=b"0\r\n\r\n" + BODY)
    yield case("chunked-case", lines(OK, b"TRANSFER-ENCODING:Chunked") + chunk(BODY) + END)
    yield case("chunked-then-close", chunked(BODY), then="close")
    yield case("until-close", lines(OK) + BODY, then="close")
    yield case("until-close-option", lines(OK, b"Connection: close") + BODY, then="close")
    yield case("until-close-empty", lines(OK), body=b"", then="close")
    yield case("until-close-half", lines(OK) + BODY, then="half-close")
    yield case("until-close-1MiB", lines(OK) + BIG, body=BIG, then="close", variants=("whole", "split"))
    yield case("1.0-length", counted(BODY, status=b"HTTP/1.0 200 OK"), then="close")
    yield case("1.0-until-close", lines(b"HTTP/1.0 200 OK") + BODY, then="close")
    yield case("1.0-keep-alive", counted(BODY, b"Connection: keep-alive", status=b"HTTP/1.0 200 OK"))


def bodiless():
    case = good("answers: no body", "RFC 9112 6.3 rule 1, RFC 9110 15.3.5, 15.4.5, 9.3.2")
    yield case("204", lines(b"HTTP/1.1 204 No Content"), 204, b"")
    yield case("204-fields", lines(b"HTTP/1.1 204 No Content", b"X-End: kept"), 204, b"", fields=((b"X-End", b"kept"),))
    yield case("204-length-0", lines(b"HTTP/1.1 204 No Content", b"Content-Length: 0"), 204, b"", or_bad_gateway=True)
    yield case("304", lines(b"HTTP/1.1 304 Not Modified"), 304, b"")
    yield case("304-length", lines(b"HTTP/1.1 304 Not Modified", b"Content-Length: 100"), 304, b"")
    yield case("304-coding", lines(b"HTTP/1.1 304 Not Modified", CODING), 304, b"")
    yield case("HEAD-length", lines(OK, b"Content-Length: 100"), 200, b"", method=b"HEAD")
    yield case("HEAD-length-0", lines(OK, b"Content-Length: 0"), 200, b"", method=b"HEAD")
    yield case("HEAD-coding", lines(OK, CODING), 200, b"", method=b"HEAD")
    yield case("HEAD-none", lines(OK), 200, b"", method=b"HEAD")
    yield case("HEAD-404", lines(b"HTTP/1.1 404 Not Found", b"Content-Length: 10"), 404, b"", method=b"HEAD")
    yield case("HEAD-204", lines(b"HTTP/1.1 204 No Content"), 204, b"", method=b"HEAD")


def statuses_and_fields():
    case = good("answers: status", "RFC 9112 4, RFC 9110 15")
    for code in (200, 201, 202, 203, 299, 300, 307, 400, 401, 404, 409, 418, 429, 499, 500, 501, 502, 503, 504, 599):
        yield case("status-%d" % code, counted(BODY, status=b"HTTP/1.1 %d Reason" % code), code, variants=("whole",))
    for name, line in [("empty-reason", b"HTTP/1.1 200 "), ("long-reason", b"HTTP/1.1 200 " + b"very " * 40 + b"long"),
                       ("reason-high", b"HTTP/1.1 200 caf\xe9"), ("reason-tab", b"HTTP/1.1 200 a\tb"),
                       ("reason-digits", b"HTTP/1.1 200 404 Not Found")]:
        yield case(name, counted(BODY, status=line))
    field = good("answers: fields", "RFC 9110 5.5")
    for name, line, key, value in [
        ("latin1", b"X-A: caf\xe9", b"X-A", b"caf\xe9"), ("no-blank", b"X-A:v", b"X-A", b"v"),
        ("blanks", b"X-A: \t v \t", b"X-A", b"v"), ("empty", b"X-A:", b"X-A", b""),
        ("token-name", b"X!#$%&'*+-.^_`|~9: v", b"X!#$%&'*+-.^_`|~9", b"v"),
        ("4KiB", b"X-A: " + b"v" * 3000, b"X-A", b"v" * 3000),
        ("type", b"Content-Type: application/vnd.docker.plugins.v1.2+json", b"Content-Type",
        b"application/vnd.docker.plugins.v1.2+json"),
    ]:
        yield field("field-" + name, counted(BODY, line), fields=((key, value),))
    yield field("fields-60", counted(BODY, *[b"X-%d: v%d" % (i, i) for i in range(60)]),
            fields=tuple((b"X-%d" % i, b"v%d" % i) for i in range(60)))
    yield field("fields-repeated", counted(BODY, b"X-A: 1", b"X-B: 2", b"x-a: 3"), fields=((b"X-A", b"1, 3"),))


def interims():
    case = good("answers: 1xx", "RFC 9110 15.2")
    final = counted(BODY)
    for name, interim in [
        ("100", lines(b"HTTP/1.1 100 Continue")), ("102", lines(b"HTTP/1.1 102 Processing")),
        ("103", lines(b"HTTP/1.1 103 Early Hints", b"Link: </a>")),
        ("five", lines(b"HTTP/1.1 102 Processing") * 5), ("100-then-103",
        lines(b"HTTP/1.1 100 Continue") + lines(b"HTTP/1.1 103 Early Hints")),
        ("199", lines(b"HTTP/1.1 199 Odd")),
    ]:
        yield case("1xx-" + name, interim + final)
        if name in ("100", "103"):
            yield case("1xx-%s-chunked" % name, interim + chunked(BODY))
            yield case("1xx-%s-until-close" % name, interim + lines(OK) + BODY, then="close")
            yield case("1xx-%s-HEAD" % name, interim + lines(OK, b"Content-Length: 9"), 200, b"", method=b"HEAD")
    through = good("answers: 1xx", "RFC 9110 15.2: a proxy must forward them")
    yield through("1xx-forwards-102", lines(b"HTTP/1.1 102 Processing") + final, interim=102)
    yield through("1xx-forwards-103", lines(b"HTTP/1.1 103 Early Hints", b"Link: </a>") + final, interim=103)
    old = good("answers: 1xx", "RFC 9110 15.2: never to an HTTP/1.0 client")
    yield old("1xx-to-1.0", lines(b"HTTP/1.1 103 Early Hints") + final, version=b"HTTP/1.0", absent=(b"103 Early",))


def other_clients():
    """An HTTP/1.0 client gets no chunks (RFC 9112 6.1) and a closed connection."""
    case = good("answers: to HTTP/1.0", "RFC 9112 6.1, 9.3")
    for name, raw, then in [("length", counted(BODY), "keep"), ("chunked", chunked(BODY[:9], BODY[9:]), "keep"),
                            ("until-close", lines(OK) + BODY, "close"),
                            ("trailer", chunked(BODY, end=b"0\r\nX-A: b\r\n\r\n"), "keep")]:
        yield case("to-1.0-" + name, raw, version=b"HTTP/1.0", then=then)
    yield case("to-1.0-204", lines(b"HTTP/1.1 204 No Content"), 204, b"", version=b"HTTP/1.0")
    early = good("answers: before the request ended", "RFC 9112 7.5, 9.5")
    for name, raw, status in [("413", counted(BODY, b"Connection: close", status=b"HTTP/1.1 413 Content Too Large"),
            413), ("200", counted(BODY), 200),
                              ("400-chunked", chunked(BODY, status=b"HTTP/1.1 400 Bad Request"), 400)]:
        yield early("early-%s-small" % name, raw, status, early=True, upload=1000)
        yield early("early-%s-1MiB" % name, raw, status, early=True, upload=1 << 20)
    yield early("early-413-closes", counted(BODY, b"Connection: close", status=b"HTTP/1.1 413 Content Too Large"), 413,
            early=True, upload=1000, then="close",
                or_bad_gateway=True)


CASES = [*framings(), *bodiless(), *statuses_and_fields(), *interims(), *other_clients()]
