"""Requests whose sender leaves: a complete one is still answered, an incomplete one never becomes complete."""

from cases import HOST, X, Accepted, CutShort, Wanted, chunk, counted, head
from corpus.accepted import KIB64

CODED = head(b"Transfer-Encoding: chunked") + chunk(b"hello")


def complete():
    def case(name, wire, *wanted, **options):
        return Accepted("half-close-" + name, "half-close", "RFC 9112 9.6: the answer still comes", wire, wanted,
                closes=True, half_close=True,
                        **options)
    yield case("length", counted(b"ok"), Wanted(body=b"ok"))
    yield case("no-body", head(), Wanted())
    yield case("get", head(method=b"GET"), Wanted(method=b"GET"))
    yield case("head", head(method=b"HEAD"), Wanted(method=b"HEAD"))
    yield case("chunked", CODED + b"0\r\n\r\n", Wanted(body=b"hello"))
    yield case("1.0", counted(b"ok", version=b"HTTP/1.0"), Wanted(body=b"ok"))
    yield case("pipeline-3", counted(b"ok") * 3, *[Wanted(body=b"ok")] * 3)
    yield case("64KiB", counted(KIB64), Wanted(body=KIB64))
    yield case("close", counted(b"ok", b"Connection: close"), Wanted(body=b"ok"))


def incomplete():
    for leave in ("half-close", "close"):
        def case(name, wire, leave=leave, **options):
            return CutShort("cut-%s-%s" % (leave, name), "cut short", "RFC 9112 8", wire, leave, **options)
        whole = head(b"Content-Length: 5")
        for name, wire in [
            ("nothing", b""), ("method", b"POST"), ("request-line", b"POST " + X + b" HTTP/1.1"),
            ("request-line-crlf", b"POST " + X + b" HTTP/1.1\r\n"),
            ("field", b"POST " + X + b" HTTP/1.1\r\n" + HOST), ("field-crlf", whole[:-2]), ("field-cr", whole[:-1]),
            ("colon", whole[:60]),
        ]:
            yield case("head-" + name, wire, partial=False)
        for name, wire in [
            ("0-of-5", whole), ("4-of-5", whole + b"hell"), ("half-of-128KiB", head(b"Content-Length: 131072") + KIB64),
            ("1-of-2^40", head(b"Content-Length: 1099511627776") + b"x"),
            ("chunked-nothing", head(b"Transfer-Encoding: chunked")), ("chunked-size",
            head(b"Transfer-Encoding: chunked") + b"5"),
            ("chunked-size-cr", head(b"Transfer-Encoding: chunked") + b"5\r"),
            ("chunked-data", head(b"Transfer-Encoding: chunked") + b"5\r\nhel"),
            ("chunked-data-end", head(b"Transfer-Encoding: chunked") + b"5\r\nhello"), ("chunked-after-chunk", CODED),
            ("chunked-zero", CODED + b"0"),
            ("chunked-zero-crlf", CODED + b"0\r\n"), ("chunked-zero-crlf-cr", CODED + b"0\r\n\r"),
            ("chunked-trailer", CODED + b"0\r\nX-A: b\r\n"),
            ("chunked-extension", head(b"Transfer-Encoding: chunked") + b"5;a=b"),
            ("chunked-huge", head(b"Transfer-Encoding: chunked") + b"7fffffff\r\nabc"),
            ("expect", head(b"Expect: 100-continue", b"Content-Length: 5")),
        ]:
            yield case("body-" + name, wire)
        yield case("second-head", counted(b"one") + whole[:40], partial=False, answered=1)
        yield case("second-body", counted(b"one") + whole + b"hel", answered=1)


CASES = [*complete(), *incomplete()]
