"""Request lines, line ends and foreign protocols that must be refused."""

import random

from cases import BAD_VERSION, CASE, HIDDEN, HOST, TOO_LARGE, X, Refused, counted, lines

REST = (HOST, CASE, b"Content-Length: 0")
WIDE = frozenset({400, 403, 404, 405, 421, 501})


def refused(group, rule, **defaults):
    def make(name, wire, **options):
        return Refused(name, group, rule, wire, **{**defaults, **options})
    return make


def request_lines():
    case = refused("request line", "RFC 9112 3", statuses=BAD_VERSION)
    for name, line in [
        ("two-blanks-before-target", b"POST  " + X + b" HTTP/1.1"), ("two-blanks-after-target",
        b"POST " + X + b"  HTTP/1.1"),
        ("trailing-blank", b"POST " + X + b" HTTP/1.1 "), ("trailing-tab", b"POST " + X + b" HTTP/1.1\t"),
        ("leading-blank", b" POST " + X + b" HTTP/1.1"), ("leading-tab", b"\tPOST " + X + b" HTTP/1.1"),
        ("tab-before-target", b"POST\t" + X + b" HTTP/1.1"), ("tab-after-target", b"POST " + X + b"\tHTTP/1.1"),
        ("vt-separator", b"POST\x0b" + X + b"\x0bHTTP/1.1"), ("ff-separator", b"POST\x0c" + X + b" HTTP/1.1"),
        ("nbsp-separator", b"POST\xa0" + X + b"\xa0HTTP/1.1"), ("four-parts", b"POST " + X + b" HTTP/1.1 more"),
        ("version-twice", b"POST " + X + b" HTTP/1.1 HTTP/1.1"), ("only-method", b"POST"), ("no-version", b"POST " + X),
        ("no-target", b"POST HTTP/1.1"), ("empty-target", b"POST  HTTP/1.1"), ("no-method", X + b" HTTP/1.1"),
        ("empty-method", b" " + X + b" HTTP/1.1"), ("only-blanks", b"   "), ("cr-inside", b"POST " + X + b"\rHTTP/1.1"),
        ("crlf-inside", b"POST " + X + b"\r\n HTTP/1.1"),
    ]:
        yield case("line-" + name, lines(line, *REST))
    method = refused("request line", "RFC 9110 9.1: a method is a token", statuses=frozenset({400, 405, 501}))
    for name, text in [
        ("nul", b"PO\0ST"), ("paren", b"PO(ST"), ("colon", b"POST:"), ("at", b"P@ST"), ("slash", b"PO/ST"),
        ("quote", b'"POST"'),
        ("high", b"P\xd6ST"), ("del", b"POST\x7f"), ("braces", b"{POST}"), ("comma", b"GET,POST"),
        ("bell", b"\x07POST"),
    ]:
        yield method("method-" + name, lines(text + b" " + X + b" HTTP/1.1", *REST))


def versions():
    case = refused("version", "RFC 9112 2.3, RFC 9110 15.6.6", statuses=BAD_VERSION)
    for text in (b"HTTP/2.0", b"HTTP/3.0", b"HTTP/0.9", b"HTTP/9.9", b"HTTP/2", b"HTTP/1", b"HTTP/1.", b"HTTP/.1",
            b"HTTP/1.10",
                 b"HTTP/01.1", b"HTTP/1.01", b"HTTP/11.1", b"HTTP1.1", b"http/1.1", b"Http/1.1", b"HTTPS/1.1",
                 b"HTTP/1.1x",
                 b"HTTP/x.1", b"HTTP/1,1", b"HTTP/+1.1", b"HTTP/-1.1", b"HTTP/1.-1", b"HTTP/1.1\0", b"HTTP//1.1",
                 b"HTTP/1.1/",
                 b"HTTP/1\xb91", b"ICY/1.1", b"RTSP/1.0", b"HTTP /1.1", b"HTTP/ 1.1", b"HTTP/1 .1", b"HTTP/1. 1",
                 b"XHTTP/1.1"):
        yield case("version-" + text.decode("latin-1").replace("\0", "NUL"), lines(b"POST " + X + b" " + text, *REST))


def targets():
    case = refused("request target", "RFC 9112 3.2, RFC 3986")
    for name, target in [
        ("blank", b"/VolumeDriver.X y"), ("nul", b"/VolumeDriver.X\0"), ("nul-first", b"\0" + X),
        ("soh", b"/Volume\x01Driver.X"),
        ("tab", b"/VolumeDriver\t.X"), ("vt", b"/VolumeDriver.\x0bX"), ("esc", b"/VolumeDriver.\x1bX"),
        ("del", b"/VolumeDriver.X\x7f"),
        ("latin1", b"/VolumeDriver.\xe9"), ("utf8", "/VolumeDriver.é".encode()), ("high", b"\xff\xfe" + X),
        ("cr", b"/VolumeDriver.\rX"), ("fragment", X + b"#part"), ("only-fragment", b"#"),
    ]:
        yield case("target-" + name, lines(b"POST " + target + b" HTTP/1.1", *REST))
    form = refused("request target", "RFC 9112 3.2: no such form for this method", statuses=WIDE)
    for name, line in [
        ("relative", b"POST VolumeDriver.X HTTP/1.1"), ("authority", b"POST plugin:80 HTTP/1.1"),
        ("asterisk", b"POST * HTTP/1.1"), ("asterisk-GET", b"GET * HTTP/1.1"),
        ("backslash", b"POST \\VolumeDriver.X HTTP/1.1"),
        ("query-only", b"POST ?a=b HTTP/1.1"), ("CONNECT", b"CONNECT plugin:80 HTTP/1.1"),
        ("CONNECT-path", b"CONNECT " + X + b" HTTP/1.1"), ("empty-authority", b"POST http:///VolumeDriver.X HTTP/1.1"),
        ("userinfo", b"POST http://user:pass@plugin/VolumeDriver.X HTTP/1.1"),
        ("scheme-relative-blank", b"POST http:// plugin/VolumeDriver.X HTTP/1.1"),
        ("absolute-bad-port", b"POST http://plugin:x/VolumeDriver.X HTTP/1.1"),
    ]:
        yield form("target-" + name, lines(line, HOST, CASE))


def line_ends():
    case = refused("line ends", "RFC 9112 2.2; strict bar", may_wait=True)
    first = b"POST " + X + b" HTTP/1.1"
    body_less = b"Content-Length: 0"
    for name, wire in [
        ("lf-everywhere", b"\n".join([first, HOST, CASE, body_less, b"", b""])),
        ("lf-after-request-line", first + b"\n" + lines(HOST, CASE, body_less)),
        ("lf-after-first-field", first + b"\r\n" + HOST + b"\n" + lines(CASE, body_less)),
        ("lf-after-last-field", b"\r\n".join([first, HOST, CASE, body_less]) + b"\n\r\n"),
        ("lf-final", b"\r\n".join([first, HOST, CASE, body_less]) + b"\r\n\n"),
        ("lf-lf-final", b"\r\n".join([first, HOST, CASE, body_less]) + b"\n\n"),
        ("lf-leading", b"\n" + lines(first, HOST, CASE, body_less)),
        ("cr-everywhere", b"\r".join([first, HOST, CASE, body_less, b"", b""])),
        ("lfcr-everywhere", b"\n\r".join([first, HOST, CASE, body_less, b"", b""])),
        ("cr-final", b"\r\n".join([first, HOST, CASE, body_less]) + b"\r\n\r" + HIDDEN),
    ]:
        yield case("ends-" + name, wire)
    whole = refused("line ends", "RFC 9112 2.2: bare CR")
    for name, wire in [
        ("crcrlf-request-line", first + b"\r\r\n" + lines(HOST, CASE, body_less)),
        ("crcrlf-field", first + b"\r\n" + HOST + b"\r\r\n" + lines(CASE, body_less)),
        ("crcrlf-final", b"\r\n".join([first, HOST, CASE, body_less]) + b"\r\n\r\r\n\r\n"),
        ("cr-leading", b"\r" + lines(first, HOST, CASE, body_less)),
        ("cr-joins-fields", lines(first, HOST + b"\r" + CASE, body_less)),
        ("lf-joins-fields", lines(first, HOST + b"\n" + CASE, body_less)),
    ]:
        yield whole("ends-" + name, wire)


def foreign():
    case = refused("foreign", "RFC 9112 2.2: not HTTP", may_wait=True, statuses=BAD_VERSION | {405, 501})
    rng = random.Random(9112)
    hello = bytes.fromhex("16030100f4010000f00303") + rng.randbytes(32) + b"\x20" + rng.randbytes(200)
    for name, wire in [
        ("tls-client-hello", hello), ("random", rng.randbytes(600)), ("random-crlfcrlf",
        rng.randbytes(600) + b"\r\n\r\n"),
        ("zeros", b"\0" * 1024), ("high", b"\xff" * 1024 + b"\r\n\r\n"), ("ssh", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
        ("json", b'{"Name": "v"}\r\n\r\n'), ("smtp", b"EHLO plugin\r\nMAIL FROM:<a@b>\r\n\r\n"),
        ("response", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), ("redis", b"*1\r\n$4\r\nPING\r\n\r\n"),
        ("proxy-protocol", b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + HIDDEN),
        ("proxy-protocol-2", bytes.fromhex("0d0a0d0a000d0a515549540a2000000000") + HIDDEN),
        ("only-lf", b"\n" * 100), ("nul-then-request", b"\0" + HIDDEN), ("bom-then-request", b"\xef\xbb\xbf" + HIDDEN),
    ]:
        yield case("foreign-" + name, wire)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")
    yield refused("foreign", "RFC 9113 3.4", statuses=BAD_VERSION | {404, 405, 501})("foreign-http2-preface", preface)


def sizes():
    case = refused("sizes", "RFC 9112 2.3, 3; RFC 9110 5.4, 15.5.15", statuses=TOO_LARGE)
    first = b"POST " + X + b" HTTP/1.1"
    meg = 1 << 20
    for name, wire in [
        ("target-1MiB", lines(b"POST /VolumeDriver." + b"X" * meg + b" HTTP/1.1", *REST)),
        ("method-1MiB", lines(b"P" * meg + b" " + X + b" HTTP/1.1", *REST)),
        ("value-1MiB", lines(first, *REST, b"X-A: " + b"v" * meg)), ("name-1MiB",
        lines(first, *REST, b"n" * meg + b": v")),
        ("fields-20000", lines(first, *REST, *[b"X-%d: v" % i for i in range(20000)])),
        ("total-4MiB", lines(first, *REST, *[b"X-%d: " % i + b"v" * 4000 for i in range(1024)])),
        ("blanks-1MiB", lines(first, *REST, b"X-A:" + b" " * meg + b"v")),
    ]:
        yield case("size-" + name, wire)
    endless = refused("sizes", "RFC 9112 3: bounded without an end", statuses=TOO_LARGE, may_wait=True)
    yield endless("size-endless-line", b"POST /VolumeDriver." + b"X" * meg)
    yield endless("size-endless-fields",
            b"\r\n".join([first, *REST, *[b"X-%d: v" % i for i in range(50000)]]) + b"\r\n")


def after_valid():
    """A good request first: it is served, the bad one behind it refused, and nothing behind that is read."""
    case = refused("after a valid one", "RFC 9112 9.3.2", answered=1)
    good = counted(b"one")
    for name, bad in [
        ("blank-line-start", lines(b" POST " + X + b" HTTP/1.1", *REST)),
        ("two-hosts", lines(b"POST " + X + b" HTTP/1.1", HOST, *REST)),
        ("both-framings", lines(b"POST " + X + b" HTTP/1.1", *REST, b"Transfer-Encoding: chunked") + b"0\r\n\r\n"),
        ("nul", lines(b"POST " + X + b" HTTP/1.1", *REST, b"X-A: \0")), ("extra-body", b"extra\r\n\r\n"),
        ("cr", lines(b"POST " + X + b" HTTP/1.1", *REST, b"X-A: a\rb")),
    ]:
        yield case("after-" + name, good + bad)
        yield case("between-" + name, good + bad + HIDDEN)


CASES = [*request_lines(), *versions(), *targets(), *line_ends(), *foreign(), *sizes(), *after_valid()]
