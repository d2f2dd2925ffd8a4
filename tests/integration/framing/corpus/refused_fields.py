"""Header fields that must be refused."""

from cases import BAD_REQUEST, CASE, HOST, X, Refused, head, lines

FIRST = b"POST " + X + b" HTTP/1.1"
NO_BODY = b"Content-Length: 0"
WIDE_HOST = BAD_REQUEST | {421}


def refused(group, rule, **defaults):
    def make(name, wire, **options):
        return Refused(name, group, rule, wire, **{**defaults, **options})
    return make


def printable(byte):
    return "%c" % byte if 0x20 < byte < 0x7F else "x%02x" % byte


def names():
    case = refused("field names", "RFC 9112 5.1, RFC 9110 5.6.2")
    for name, line in [
        ("blank-before-colon", b"X-A : v"), ("tab-before-colon", b"X-A\t: v"), ("blank-inside", b"X A: v"),
        ("empty", b": v"),
        ("empty-no-value", b":"), ("no-colon", b"X-A"), ("no-colon-blank", b"X-A v"), ("only-blank-colon", b" : v"),
        ("vt-before-colon", b"X-A\x0b: v"), ("nbsp-before-colon", b"X-A\xa0: v"), ("utf8", "Ä: v".encode()),
    ]:
        yield case("name-" + name, head(line, NO_BODY))
    for byte in b'\0\x01\x07\x08\x0b\x0c\x1b\x1f"(),/;<=>?@[\\]{}\x7f\x80\xe9\xff':
        yield case("name-with-" + printable(byte), head(b"X-" + bytes([byte]) + b"A: v", NO_BODY))
    framing = refused("field names", "RFC 9112 5.1: blank before the colon of a framing field")
    for name, line in [("length", b"Content-Length : 5"), ("length-tab", b"Content-Length\t: 5"),
            ("coding", b"Transfer-Encoding : chunked"),
                       ("coding-tab", b"Transfer-Encoding\t: chunked")]:
        body = b"hello" if b"Length" in line else b"5\r\nhello\r\n0\r\n\r\n"
        yield framing("name-blank-" + name, head(line) + body)
    yield framing("name-blank-host", lines(FIRST, b"Host : plugin", CASE, NO_BODY))
    first = refused("field names", "RFC 9112 2.2: blank before the first field")
    yield first("name-first-line-blank", lines(FIRST, b" " + HOST, HOST, CASE, NO_BODY))
    yield first("name-first-line-tab", lines(FIRST, b"\tX-A: v", HOST, CASE, NO_BODY))


def values():
    case = refused("field values", "RFC 9110 5.5")
    for byte in [0, 1, 2, 7, 8, 0x0B, 0x0C, 0x0E, 0x1A, 0x1B, 0x1F, 0x7F]:
        yield case("value-with-x%02x" % byte, head(b"X-A: a" + bytes([byte]) + b"b", NO_BODY))
    for name, line in [
        ("nul-first", b"X-A: \0v"), ("nul-last", b"X-A: v\0"), ("cr-inside", b"X-A: a\rb"), ("cr-first", b"X-A: \rv"),
        ("cr-last", b"X-A: v\r"), ("lf-inside", b"X-A: a\nX-B: b"), ("lf-colonless", b"X-A: a\nb"),
        ("nul-then-field", b"X-B: b\0\r\nX-C: c"),
    ]:
        yield case("value-" + name, head(line, NO_BODY))
    fold = refused("folded lines", "RFC 9112 5.2, DESIGN.md 7")
    for name, wire in [
        ("blank", head(b"X-A: a", b" b", NO_BODY)), ("tab", head(b"X-A: a", b"\tb", NO_BODY)),
        ("empty", head(b"X-A: a", b" ", NO_BODY)),
        ("after-empty", head(b"X-A:", b" b", NO_BODY)), ("three", head(b"X-A: a", b" b", b"\tc", NO_BODY)),
        ("last", head(NO_BODY, b"X-A: a", b" b")), ("host", lines(FIRST, b"Host:", b" plugin", CASE, NO_BODY)),
        ("length", head(b"Content-Length:", b" 5") + b"hello"), ("length-digits",
        head(b"Content-Length: 1", b" 0") + b"helloworld"),
        ("coding", head(b"Transfer-Encoding:", b" chunked") + b"5\r\nhello\r\n0\r\n\r\n"),
        ("coding-tab", head(b"Transfer-Encoding:", b"\tchunked") + b"0\r\n\r\n"),
        ("coding-hidden", head(b"X-A: a", b" Transfer-Encoding: chunked", NO_BODY)),
        ("looks-like-field", head(b"X-A: a", b" X-B: b", NO_BODY)),
        ("blank-line", head(b"X-A: a", b"  \t ", NO_BODY)), ("connection", head(b"Connection:", b" close", NO_BODY)),
    ]:
        yield fold("fold-" + name, wire)


def hosts():
    case = refused("host", "RFC 9112 3.2", statuses=WIDE_HOST)
    for name, fields in [
        ("missing", []), ("two-equal", [HOST, HOST]), ("two-different", [HOST, b"Host: other"]),
        ("two-spellings", [HOST, b"host: plugin"]),
        ("two-empty", [b"Host:", b"Host:"]), ("empty-and-name", [b"Host:", HOST]), ("three", [HOST] * 3),
    ]:
        yield case("host-" + name, lines(FIRST, *fields, CASE, NO_BODY))
    yield case("host-two-apart", lines(FIRST, HOST, CASE, NO_BODY, b"Host: other"))
    yield case("host-missing-absolute", lines(b"POST http://plugin/VolumeDriver.X HTTP/1.1", CASE, NO_BODY))
    yield case("host-two-in-1.0", lines(b"POST " + X + b" HTTP/1.0", HOST, b"Host: other", CASE, NO_BODY))
    for name, value in [
        ("blank-inside", b"a b"), ("list", b"a, b"), ("url", b"http://plugin/"), ("path", b"plugin/x"),
        ("query", b"plugin?x"),
        ("fragment", b"plugin#x"), ("userinfo", b"user@plugin"), ("word-port", b"plugin:port"),
        ("two-ports", b"plugin:80:80"),
        ("negative-port", b"plugin:-1"), ("open-bracket", b"[::1"), ("close-bracket", b"::1]"), ("bare-ipv6", b"::1"),
        ("backslash", b"a\\b"),
        ("angle", b"a<b>"), ("quote", b'"plugin"'), ("percent-cut", b"a%2"), ("percent-bad", b"a%zz"),
        ("high", b"caf\xe9"), ("tab-inside", b"a\tb"),
        ("nul", b"a\0b"), ("braces", b"{a}"), ("pipe", b"a|b"), ("caret", b"a^b"), ("empty-brackets", b"[]"),
    ]:
        yield case("host-value-" + name, lines(FIRST, b"Host: " + value, CASE, NO_BODY))


CASES = [*names(), *values(), *hosts()]
