"""Legal heads, versions, connection options and pipelines."""

from cases import CASE, HIDDEN, HOST, X, Accepted, Wanted, chunk, counted, head, lines
from corpus.accepted import KIB64

START = b"POST " + X + b" HTTP/1.1"


def accepted(group, rule):
    def make(name, wire, *wanted, **options):
        return Accepted(name, group, rule, wire, wanted or (Wanted(),), **options)
    return make


def hosts():
    case = accepted("host", "RFC 9112 3.2")
    for name, line in [
        ("empty", b"Host:"), ("empty-blank", b"Host: "), ("name", b"Host: plugin"), ("port", b"Host: plugin:8080"),
        ("empty-port", b"Host: plugin:"), ("ipv4", b"Host: 127.0.0.1:80"), ("ipv6", b"Host: [::1]"),
        ("ipv6-port", b"Host: [fe80::1]:80"), ("lower-case", b"host: plugin"), ("upper-case", b"HOST:plugin"),
        ("tabs", b"Host:\tplugin\t"), ("underscore", b"Host: a_b~c"), ("percent", b"Host: a%2Fb"),
        ("path-like-socket", b"Host: %2Frun%2Fplugin.sock"), ("sub-delims", b"Host: a!b$c&d"),
    ]:
        yield case("host-" + name, lines(START, line, CASE, b"Content-Length: 2") + b"ok", Wanted(body=b"ok"))
    yield case("host-last", lines(START, CASE, b"Content-Length: 2", HOST) + b"ok", Wanted(body=b"ok"))


def targets():
    case = accepted("target", "RFC 9112 3.2.1, 3.2.2: origin-form to the plugin, its Host ignored")
    for name, target in [
        ("absolute", b"http://plugin/VolumeDriver.X"), ("absolute-port", b"http://plugin:80/VolumeDriver.X"),
        ("absolute-case", b"HTTP://plugin/VolumeDriver.X"), ("absolute-ipv6", b"http://[::1]:80/VolumeDriver.X"),
    ]:
        yield case("target-" + name, head(b"Content-Length: 2", target=target) + b"ok", Wanted(body=b"ok"))
    yield case("target-absolute-other", lines(b"POST http://other/VolumeDriver.X HTTP/1.1", b"Host: ignored", CASE,
            b"Content-Length: 2") + b"ok",
               Wanted(body=b"ok", absent=(b"ignored",)))
    long = b"/VolumeDriver." + b"X" * (8000 - len(b"POST /VolumeDriver. HTTP/1.1"))
    yield accepted("target", "RFC 9112 3: at least 8000 octets")(
        "target-8000", head(b"Content-Length: 2", target=long) + b"ok", Wanted(target=long, body=b"ok"))
    yield accepted("target", "RFC 9112 3")("target-1000", head(target=long[:1000]), Wanted(target=long[:1000]))
    empty = accepted("target", "RFC 9112 2.2: an empty line before the request")
    yield empty("leading-crlf", b"\r\n" + counted(b"ok"), Wanted(body=b"ok"))
    yield empty("leading-crlf-two", b"\r\n\r\n" + counted(b"ok"), Wanted(body=b"ok"), or_refused=frozenset({400}))


def fields():
    case = accepted("fields", "RFC 9110 5.5, 5.6.3")
    for name, line, value in [
        ("latin1", b"X-A: caf\xe9", b"caf\xe9"), ("utf8", "X-A: naïve ☃".encode(), "naïve ☃".encode()),
        ("high-bytes", b"X-A: \x80\xff\xa0", b"\x80\xff\xa0"), ("no-blank", b"X-A:v", b"v"),
        ("blanks", b"X-A:    v    ", b"v"), ("tabs", b"X-A:\t\tv\t", b"v"),
        ("inner-blanks", b"X-A: a  b\tc", b"a  b\tc"),
        ("empty", b"X-A:", b""), ("only-blanks", b"X-A:  \t ", b""), ("colons", b"X-A: a:b::c", b"a:b::c"),
        ("quotes", b'X-A: "a\\"b", c', b'"a\\"b", c'), ("all-visible", b"X-A: " + bytes(range(33, 127)),
        bytes(range(33, 127))),
        ("looks-like-field", b"X-A: Content-Length: 9", b"Content-Length: 9"),
        ("4KiB", b"X-A: " + b"v" * 4096, b"v" * 4096),
        ("one-char", b"X-A: a", b"a"), ("percent", b"X-A: %0d%0aX-B: c", b"%0d%0aX-B: c"),
    ]:
        yield case("value-" + name, head(line, b"Content-Length: 2") + b"ok",
                   Wanted(body=b"ok", fields=((b"X-A", value),)))
    names = accepted("fields", "RFC 9110 5.1, 5.6.2")
    for name, key in [("all-token-chars", b"X!#$%&'*+-.^_`|~09az"), ("underscore", b"X_Under_Score"),
            ("digits", b"0123"),
                      ("one-char", b"x"), ("long", b"X-" + b"n" * 250)]:
        yield names("name-" + name, head(key + b": v"), Wanted(fields=((key, b"v"),)))
    many = [b"X-%d: value %d" % (i, i) for i in range(60)]
    yield names("many-60", head(*many), Wanted(fields=tuple((b"X-%d" % i, b"value %d" % i) for i in range(60))))
    lists = accepted("fields", "RFC 9110 5.3: order of repeated fields")
    yield lists("repeated", head(b"Accept: a/b", b"X-A: 1", b"Accept: c/d", b"x-a: 2"),
                Wanted(fields=((b"Accept", b"a/b, c/d"), (b"X-A", b"1, 2"))))
    yield lists("docker-engine", lines(START, b"Host: ", b"User-Agent: Go-http-client/1.1", CASE, b"Content-Length: 12",
                b"Accept: application/vnd.docker.plugins.v1.2+json", b"Content-Type: application/json",
                b"Accept-Encoding: gzip") + b'{"Name":"v"}',
                Wanted(body=b'{"Name":"v"}', fields=((b"Accept", b"application/vnd.docker.plugins.v1.2+json"),)),
                    every_cut=True)
    yield lists("lookalikes", head(b"Content_Length: 99", b"X-Content-Length: 7", b"Content-Length-X: 1",
                b"X-Transfer-Encoding: chunked", b"Content-Length: 2") + b"ok", Wanted(body=b"ok"))


def connections():
    case = accepted("connection", "RFC 9112 9.3, 9.6")
    ok = Wanted(body=b"ok")
    for name, options, closes in [
        ("close", [b"Connection: close"], True), ("close-case", [b"connection: CLOSE"], True),
        ("close-among", [b"Connection: x-q, close", b"X-Q: 1"], True),
        ("close-second-line", [b"Connection: keep-alive", b"Connection: close"], True),
        ("close-empty-members", [b"Connection: , close ,"], True), ("keep-alive", [b"Connection: keep-alive"], False),
        ("keep-alive-case", [b"Connection: Keep-Alive"], False), ("unknown-option", [b"Connection: foo"], False),
        ("empty", [b"Connection:"], False), ("not-close", [b"Connection: closed"], False),
    ]:
        yield case("connection-" + name, counted(b"ok", *options), ok, closes=closes)
    yield case("close-then-more", counted(b"ok", b"Connection: close") + HIDDEN, ok, closes=True)
    old = accepted("http-1.0", "RFC 9112 9.3, RFC 9110 2.5")
    v0 = b"HTTP/1.0"
    yield old("1.0-length", counted(b"ok", version=v0), ok, closes=True)
    yield old("1.0-no-host", lines(b"POST " + X + b" HTTP/1.0", CASE, b"Content-Length: 2") + b"ok", ok, closes=True)
    yield old("1.0-GET", head(method=b"GET", version=v0), Wanted(method=b"GET"), closes=True)
    yield old("1.0-HEAD", head(method=b"HEAD", version=v0), Wanted(method=b"HEAD"), closes=True)
    yield old("1.0-close", counted(b"ok", b"Connection: close", version=v0), ok, closes=True)
    yield old("1.0-keep-alive", counted(b"ok", b"Connection: keep-alive", version=v0), ok)
    yield old("1.0-no-length", head(version=v0), Wanted(), closes=True)
    yield old("1.0-then-more", counted(b"ok", version=v0) + HIDDEN, ok, closes=True)


def pipelines():
    case = accepted("pipelining", "RFC 9112 9.3.2")
    one, get = counted(b"one"), head(method=b"GET")
    coded = head(b"Transfer-Encoding: chunked") + chunk(b"two") + b"0\r\n\r\n"
    w_one, w_get, w_coded = Wanted(body=b"one"), Wanted(method=b"GET"), Wanted(body=b"two")
    head_request = head(method=b"HEAD")
    for name, wire, wanted in [
        ("2-posts", one * 2, [w_one] * 2), ("3-mixed", one + coded + get, [w_one, w_coded, w_get]),
        ("10-gets", get * 10, [w_get] * 10), ("10-mixed", (one + coded) * 5, [w_one, w_coded] * 5),
        ("3-chunked", coded * 3, [w_coded] * 3), ("head-between", get + head_request + one,
        [w_get, Wanted(method=b"HEAD"), w_one]),
        ("empty-line-between", one + b"\r\n" + one, [w_one] * 2),
        ("trailers-between", coded[:-2] + b"X-T: 1\r\n\r\n" + get, [w_coded, w_get]),
        ("large-first", counted(KIB64) + get, [Wanted(body=KIB64), w_get]),
        ("10-large", counted(KIB64[:10000]) * 10, [Wanted(body=KIB64[:10000])] * 10),
        ("50-gets", get * 50, [w_get] * 50),
    ]:
        yield case("pipeline-" + name, wire, *wanted)
    yield case("pipeline-close-last", one + counted(b"ok", b"Connection: close"), w_one, Wanted(body=b"ok"),
            closes=True)
    yield case("pipeline-1.0-last", one + head(method=b"GET", version=b"HTTP/1.0"), w_one, w_get, closes=True)
    yield case("pipeline-every-cut", counted(b"a") + coded, Wanted(body=b"a"), w_coded, every_cut=True)


CASES = [*hosts(), *targets(), *fields(), *connections(), *pipelines()]
