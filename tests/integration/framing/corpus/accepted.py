"""Requests that RFC 9112 allows: each must reach the plugin unharmed."""

import random

from cases import BAD_CODING, BAD_FRAMING, BAD_REQUEST, CASE, HOST, X, Accepted, Wanted, chunk, counted, head, lines

ALL_BYTES = bytes(range(256))
KIB64 = random.Random(64).randbytes(1 << 16)
MIB = random.Random(1024).randbytes((1 << 20) + 1)


def accepted(group, rule):
    def make(name, wire, *wanted, **options):
        return Accepted(name, group, rule, wire, wanted or (Wanted(),), **options)
    return make


def lengths():
    case = accepted("content-length", "RFC 9112 6.3")
    for name, body in [
        ("0", b""), ("1", b"x"), ("json", b'{"Name": "v", "Opts": {}}'), ("all-bytes", ALL_BYTES),
        ("looks-like-head", b"\r\n\r\nPOST /VolumeDriver.Y HTTP/1.1\r\nHost: b\r\n\r\n"),
        ("looks-like-chunks", b"5\r\nhello\r\n0\r\n\r\n"), ("nuls", b"\0" * 33), ("only-crlf", b"\r\n"),
        ("64KiB", KIB64), ("1MiB+1", MIB),
    ]:
        yield case("cl-" + name, counted(body), Wanted(body=body))
    yield case("cl-json-every-cut", counted(b'{"N":"\r\n"}'), Wanted(body=b'{"N":"\r\n"}'), every_cut=True)
    hello = Wanted(body=b"hello")
    for name, field in [
        ("leading-zeros", b"Content-Length: 0005"), ("no-blank", b"Content-Length:5"),
        ("tabs", b"Content-Length:\t5\t"), ("padded", b"Content-Length:    5   "), ("lower-case", b"content-length: 5"),
        ("upper-case", b"CONTENT-LENGTH: 5"),
    ]:
        yield case("cl-" + name, head(field) + b"hello", hello)
    yield case("cl-first-field", lines(b"POST " + X + b" HTTP/1.1", b"Content-Length: 5", HOST, CASE) + b"hello", hello)
    choice = accepted("content-length", "RFC 9112 6.3 (one value or refused)")
    for name, fields in [
        ("list-5-5", [b"Content-Length: 5, 5"]), ("twice-5", [b"Content-Length: 5"] * 2),
        ("thrice-5", [b"Content-Length: 5"] * 3), ("5-and-05", [b"Content-Length: 5", b"Content-Length: 05"]),
        ("30-digits", [b"Content-Length: " + b"5".rjust(30, b"0")]), ("empty-member", [b"Content-Length: 5,"]),
    ]:
        yield case("cl-" + name, head(*fields) + b"hello", hello, or_refused=BAD_FRAMING)
    bare = accepted("content-length", "RFC 9112 6.3 rule 7")
    for method in (b"POST", b"GET", b"DELETE", b"OPTIONS", b"PUT", b"PATCH", b"HEAD"):
        yield bare("no-body-" + method.decode(), head(method=method), Wanted(method=method))
    for method in (b"GET", b"DELETE", b"PUT", b"PATCH", b"OPTIONS", b"HEAD"):
        yield bare("body-with-" + method.decode(), counted(b"payload", method=method),
                   Wanted(method=method, body=b"payload"))
    for method in (b"M-SEARCH", b"post", b"X!#$%&'*+-.^_`|~9"):
        yield accepted("content-length", "RFC 9110 9.1 (or 501)")(
            "method-" + method.decode(), counted(b"q", method=method), Wanted(method=method, body=b"q"),
            or_refused=frozenset({400, 405, 501}))


def chunked_bodies():
    case = accepted("chunked", "RFC 9112 7.1")
    start = head(b"Transfer-Encoding: chunked")
    end = b"0\r\n\r\n"
    hello = Wanted(body=b"hello")
    for name, body in [
        ("one", chunk(b"hello") + end), ("bytes", b"".join(chunk(bytes([c])) for c in b"hello") + end),
        ("leading-zeros", b"0000005\r\nhello\r\n" + end), ("16-digits", b"0000000000000005\r\nhello\r\n" + end),
        ("zeros-last", b"5\r\nhello\r\n0000\r\n\r\n"), ("extension", chunk(b"hello", b";name") + end),
        ("extension-value", chunk(b"hello", b";name=value") + end),
        ("extension-quoted", chunk(b"hello", b';name="a b"') + end),
        ("extension-quoted-pair", chunk(b"hello", b';name="a\\"b;c=\\\\"') + end),
        ("extension-quoted-semicolon", chunk(b"hello", b';a="1;2";b="="') + end),
        ("extension-two", chunk(b"hello", b";a=1;b;c=3") + end),
        ("extension-blanks", chunk(b"hello", b" ; a = 1 ;\tb") + end),
        ("extension-last", chunk(b"hello") + b"0;last=1\r\n\r\n"),
        ("extension-long", chunk(b"hello", b";a=" + b"v" * 200) + end),
        ("extension-obs-text", chunk(b"hello", b';a="\xe9\xff"') + end),
        ("trailer", chunk(b"hello") + b"0\r\nX-Sum: 5d41\r\n\r\n"),
        ("trailers", chunk(b"hello") + b"0\r\nX-A: 1\r\nX-B:2\r\nX-C: \xe9\r\n\r\n"),
    ]:
        yield case("chunked-" + name, start + body, hello)
    yield case("chunked-every-cut", start + b"3;x=1\r\nhel\r\n02\r\nlo\r\n0\r\nX-T: 1\r\n\r\n", hello, every_cut=True)
    ten, end_a = b"0123456789", end
    for name, size in [("upper", b"A"), ("lower", b"a"), ("upper-zero", b"0A")]:
        yield case("chunked-hex-" + name, start + size + b"\r\n" + ten + b"\r\n" + end_a, Wanted(body=ten))
    long = ALL_BYTES + ALL_BYTES[:0xFF - 0xAB]
    yield case("chunked-hex-mixed",
            start + b"%x\r\n" % 0xFA + long[:0xFA] + b"\r\n1Fa\r\n" + KIB64[:0x1FA] + b"\r\n" + end,
               Wanted(body=long[:0xFA] + KIB64[:0x1FA]))
    yield case("chunked-empty", start + end, Wanted())
    yield case("chunked-all-bytes", start + chunk(ALL_BYTES) + end, Wanted(body=ALL_BYTES))
    yield case("chunked-data-like-end", start + chunk(b"\r\n0\r\n\r\n") + chunk(b"0\r\n\r\n") + end,
               Wanted(body=b"\r\n0\r\n\r\n0\r\n\r\n"))
    yield case("chunked-64KiB", start + chunk(KIB64) + end, Wanted(body=KIB64))
    many = b"".join(chunk(MIB[i:i + 50000]) for i in range(0, len(MIB), 50000))
    yield case("chunked-1MiB", start + many + end, Wanted(body=MIB))
    small = b"".join(chunk(KIB64[i:i + 7]) for i in range(0, 7000, 7))
    yield case("chunked-1000-small", start + small + end, Wanted(body=KIB64[:7000]))
    yield case("chunked-GET", head(b"Transfer-Encoding: chunked", method=b"GET") + chunk(b"hello") + end,
               Wanted(method=b"GET", body=b"hello"))
    yield case("chunked-announced-trailer", head(b"Trailer: X-Sum", b"Transfer-Encoding: chunked") + chunk(b"hello")
               + b"0\r\nX-Sum: 1\r\n\r\n", hello)
    coding = accepted("chunked", "RFC 9112 7, 6.1")
    for name, field in [
        ("case", b"Transfer-Encoding: Chunked"), ("upper", b"TRANSFER-ENCODING: CHUNKED"),
        ("no-blank", b"Transfer-Encoding:chunked"), ("tabs", b"Transfer-Encoding:\tchunked\t"),
        ("blanks", b"transfer-encoding:   chunked   "),
    ]:
        yield coding("te-" + name, head(field) + chunk(b"hello") + end, hello)
    choice = accepted("chunked", "RFC 9110 5.6.1, RFC 9112 7.1 (or refused)")
    for name, field in [("empty-before", b"Transfer-Encoding: , chunked"),
            ("empty-after", b"Transfer-Encoding: chunked,")]:
        yield choice("te-" + name, head(field) + chunk(b"hello") + end, hello, or_refused=BAD_CODING)
    yield choice("chunked-24-digits", start + b"5".rjust(24, b"0") + b"\r\nhello\r\n" + end, hello,
                 or_refused=BAD_REQUEST)
    for name, field in [("length", b"Content-Length: 3"), ("coding", b"Transfer-Encoding: chunked"),
            ("host", b"Host: b"),
                        ("te", b"TE: trailers")]:
        yield accepted("chunked", "RFC 9110 6.5.1 (dropped or refused)")(
            "trailer-forbidden-" + name, start + chunk(b"hello") + b"0\r\n" + field + b"\r\n\r\n", hello,
            or_refused=BAD_REQUEST)


def expectations():
    case = accepted("expect", "RFC 9110 10.1.1")
    body = b"x" * 1000
    start = head(b"Expect: 100-continue", b"Content-Length: 1000")
    yield case("expect-wait", start + body, Wanted(body=body), waits_for_100=len(start))
    yield case("expect-no-wait", start + body, Wanted(body=body))
    upper = head(b"Expect: 100-Continue", b"Content-Length: 5")
    yield case("expect-case", upper + b"hello", Wanted(body=b"hello"), waits_for_100=len(upper))
    coded = head(b"Expect: 100-continue", b"Transfer-Encoding: chunked")
    yield case("expect-chunked-wait", coded + chunk(b"hello") + b"0\r\n\r\n", Wanted(body=b"hello"),
               waits_for_100=len(coded))
    yield case("expect-length-0", head(b"Expect: 100-continue", b"Content-Length: 0"), Wanted())
    yield case("expect-64KiB", head(b"Expect: 100-continue", b"Content-Length: 65536") + KIB64, Wanted(body=KIB64))
    yield case("expect-http-1.0", head(b"Expect: 100-continue", b"Content-Length: 5", version=b"HTTP/1.0") + b"hello",
               Wanted(body=b"hello"), closes=True, no_interim=True)
    yield accepted("expect", "RFC 9110 10.1.1 (or 417)")(
        "expect-unknown", head(b"Expect: 200-ok", b"Content-Length: 5") + b"hello", Wanted(body=b"hello"),
        or_refused=frozenset({400, 417}))


CASES = [*lengths(), *chunked_bodies(), *expectations()]
