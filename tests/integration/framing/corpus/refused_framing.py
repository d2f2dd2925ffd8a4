"""Message framing that must be refused: Content-Length, Transfer-Encoding, chunks."""

from cases import BAD_CODING, BAD_FRAMING, HIDDEN, TOO_LARGE, Refused, chunk, head

CHUNKED = b"5\r\nhello\r\n0\r\n\r\n"
CODING = b"Transfer-Encoding: chunked"


def refused(group, rule, **defaults):
    def make(name, wire, **options):
        return Refused(name, group, rule, wire, **{**defaults, **options})
    return make


def lengths():
    case = refused("content-length", "RFC 9112 6.3 rule 5, RFC 9110 8.6", statuses=BAD_FRAMING | {413})
    for name, value in [
        ("plus", b"+5"), ("minus", b"-5"), ("minus-zero", b"-0"), ("hex", b"0x5"), ("letters", b"five"),
        ("letter-after", b"5a"),
        ("letter-before", b"a5"), ("blank-inside", b"5 5"), ("tab-inside", b"5\t5"), ("list-differs", b"5,6"),
        ("list-differs-blank", b"5, 6"),
        ("list-differs-reversed", b"6, 5"), ("list-bad-member", b"5, x"), ("semicolon", b"5;5"), ("point", b"5.0"),
        ("exponent", b"5e0"),
        ("underscore", b"1_0"), ("empty", b""), ("blanks", b"   "), ("quoted", b'"5"'), ("apostrophe", b"'5'"),
        ("vt", b"5\x0b"), ("ff", b"\x0c5"),
        ("nul", b"5\0"), ("nbsp", b"\xa05"), ("arabic-digit", "٥".encode()), ("fullwidth-digit", "５".encode()),
        ("superscript", b"\xb2"),
        ("2^64", b"18446744073709551616"), ("2^64+5", b"18446744073709551621"),
        ("2^64+5-zeros", b"00018446744073709551621"),
        ("2^65+5", b"36893488147419103237"), ("10^30", b"1" + b"0" * 30), ("1000-digits", b"9" * 1000),
        ("minus-2^64", b"-18446744073709551611"),
        ("comma-only", b","), ("unit", b"5B"), ("percent", b"%35"), ("octal", b"0o5"), ("paren", b"(5)"),
        ("equals", b"=5"),
    ]:
        yield case("cl-" + name, head(b"Content-Length: " + value) + b"hello")
    for name, first, second in [("5-6", b"5", b"6"), ("6-5", b"6", b"5"), ("5-0", b"5", b"0"), ("0-5", b"0", b"5"),
            ("5-empty", b"5", b""),
                                ("empty-5", b"", b"5"), ("5-bad", b"5", b"5x"), ("5-minus", b"5", b"-5"),
                                ("5-huge", b"5", b"18446744073709551621")]:
        yield case("cl-two-" + name, head(b"Content-Length: " + first, b"Content-Length: " + second) + b"hello")
    yield case("cl-two-apart", head(b"Content-Length: 5", b"X-A: b", b"content-length: 6") + b"hello!")


def codings():
    both = refused("both framings", "RFC 9112 6.1, 6.3 rule 3; DESIGN.md 7", statuses=BAD_CODING)
    for name, fields in [
        ("cl-te", [b"Content-Length: 15", CODING]), ("te-cl", [CODING, b"Content-Length: 15"]),
        ("cl-0-te", [b"Content-Length: 0", CODING]),
        ("te-cl-0", [CODING, b"Content-Length: 0"]), ("case", [b"content-length: 15", b"TRANSFER-ENCODING: CHUNKED"]),
        ("apart", [b"Content-Length: 15", b"X-A: b", b"X-B: c", CODING]), ("bad-cl", [b"Content-Length: x", CODING]),
        ("empty-cl", [b"Content-Length:", CODING]), ("identity",
        [b"Content-Length: 15", b"Transfer-Encoding: identity"]),
        ("gzip", [b"Content-Length: 15", b"Transfer-Encoding: gzip"]),
        ("empty-te", [b"Content-Length: 15", b"Transfer-Encoding:"]),
        ("expect", [b"Expect: 100-continue", b"Content-Length: 15", CODING]),
        ("close", [b"Connection: close", b"Content-Length: 15", CODING]),
    ]:
        yield both("both-" + name, head(*fields) + CHUNKED)
    case = refused("transfer-encoding", "RFC 9112 6.1, 6.3 rule 4, 7", statuses=BAD_CODING)
    for name, value in [
        ("chunked-twice", b"chunked, chunked"), ("chunked-twice-tight", b"chunked,chunked"),
        ("chunked-not-last", b"chunked, gzip"),
        ("chunked-identity", b"chunked, identity"), ("identity-chunked", b"identity, chunked"),
        ("identity", b"identity"), ("gzip", b"gzip"),
        ("gzip-chunked", b"gzip, chunked"), ("unknown-chunked", b"foo, chunked"), ("unknown", b"foo"),
        ("xchunked", b"xchunked"),
        ("chunkedx", b"chunkedx"), ("chunke", b"chunke"), ("two-words", b"x chunked"),
        ("two-words-after", b"chunked x"), ("parameter", b"chunked;q=1"),
        ("parameter-blank", b"chunked ; a=b"), ("semicolon", b"chunked;"), ("quoted", b'"chunked"'),
        ("apostrophe", b"'chunked'"),
        ("vt-before", b"\x0bchunked"), ("vt-after", b"chunked\x0b"), ("ff-after", b"chunked\x0c"),
        ("nul-after", b"chunked\0"), ("nul-inside", b"chun\0ked"),
        ("cr-before", b"\rchunked"), ("cr-after", b"chunked\r"), ("nbsp-after", b"chunked\xa0"),
        ("high", b"chunked\xff"), ("empty", b""), ("blank", b" \t "),
        ("comma", b","), ("dash", b"chun-ked"), ("slash", b"chunked/1"), ("equals", b"=chunked"),
        ("colon", b": chunked"), ("dot", b"chunked."),
        ("kelvin", "chun\u212aed".encode()), ("trailers", b"trailers"), ("bracket", b"[chunked]"),
    ]:
        yield case("te-" + name, head(b"Transfer-Encoding: " + value) + CHUNKED)
    for name, first, second in [("chunked-chunked", b"chunked", b"chunked"),
            ("chunked-identity", b"chunked", b"identity"),
                                ("identity-chunked", b"identity", b"chunked"), ("chunked-gzip", b"chunked", b"gzip"),
                                ("x-chunked", b"x", b"chunked"),
                                ("chunked-x", b"chunked", b"x")]:
        yield case("te-two-" + name, head(b"Transfer-Encoding: " + first, b"Transfer-Encoding: " + second) + CHUNKED)
    old = refused("transfer-encoding", "RFC 9112 6.1: faulty in HTTP/1.0", statuses=BAD_CODING)
    yield old("te-1.0", head(CODING, version=b"HTTP/1.0") + CHUNKED)
    yield old("te-1.0-keep-alive", head(CODING, b"Connection: keep-alive", version=b"HTTP/1.0") + CHUNKED)
    yield old("te-1.0-with-cl", head(CODING, b"Content-Length: 15", version=b"HTTP/1.0") + CHUNKED)


def chunk_sizes():
    case = refused("chunk size", "RFC 9112 7.1", partial=True, statuses=TOO_LARGE)
    start, end = head(CODING), b"0\r\n\r\n"
    for name, line in [
        ("hex-prefix", b"0x5\r\n"), ("hex-prefix-upper", b"0X5\r\n"), ("plus", b"+5\r\n"), ("minus", b"-5\r\n"),
        ("underscore-before", b"_5\r\n"),
        ("underscore-after", b"5_\r\n"), ("underscore-inside", b"0_5\r\n"), ("empty", b"\r\n"), ("letter", b"g\r\n"),
        ("letter-after", b"5g\r\n"),
        ("h-suffix", b"5h\r\n"), ("blank-before", b" 5\r\n"), ("blank-after", b"5 \r\n"), ("tab-before", b"\t5\r\n"),
        ("tab-after", b"5\t\r\n"),
        ("blank-inside", b"0 5\r\n"), ("vt-after", b"5\x0b\r\n"), ("nul-before", b"\x005\r\n"),
        ("nul-after", b"5\0\r\n"), ("point", b"5.0\r\n"),
        ("comma", b"5,5\r\n"), ("quoted", b'"5"\r\n'), ("17-digits", b"10000000000000005\r\n"),
        ("17-f", b"F" * 17 + b"\r\n"),
        ("2^64+5-zeros", b"00010000000000000005\r\n"), ("32-digits", b"1" + b"0" * 30 + b"5\r\n"),
        ("1000-digits", b"5" * 1000 + b"\r\n"),
        ("high", b"\xb25\r\n"), ("fullwidth", "５\r\n".encode()), ("colon", b"5:\r\n"), ("equals", b"5=5\r\n"),
        ("crcrlf", b"5\r\r\n"), ("slash", b"5/\r\n"),
    ]:
        yield case("size-" + name, start + line + b"hello\r\n" + end + HIDDEN)
        yield case("second-size-" + name, start + chunk(b"abc") + line + b"hello\r\n" + end + HIDDEN)
    bare = refused("chunk size", "RFC 9112 7.1, erratum 7633: bare LF or CR", partial=True, may_wait=True)
    for name, body in [
        ("size-lf", b"5\nhello\r\n" + end), ("size-cr", b"5\rhello\r\n" + end), ("all-lf", b"5\nhello\n0\n\n"),
        ("last-lf", b"5\r\nhello\r\n0\n\r\n"),
        ("last-lf-lf", b"5\r\nhello\r\n0\n\n"), ("final-lf", b"5\r\nhello\r\n0\r\n\n"),
        ("data-lf", b"5\r\nhello\n" + end), ("data-cr", b"5\r\nhello\r" + end),
        ("final-cr", b"5\r\nhello\r\n0\r\n\r" + b"X\r\n\r\n"), ("trailer-lf", b"5\r\nhello\r\n0\r\nX-A: b\n\r\n"),
    ]:
        yield bare("chunk-" + name, start + body + HIDDEN)


def extensions_and_data():
    case = refused("chunk extension", "RFC 9112 7.1.1", partial=True, statuses=TOO_LARGE)
    start, end = head(CODING), b"0\r\n\r\n"
    for name, extension in [
        ("no-name", b";"), ("no-name-value", b";=v"), ("no-value", b";a="), ("open-quote", b';a="v'),
        ("blank-in-name", b";a b"), ("nul", b";a\0"),
        ("nul-value", b';a="\0"'), ("vt", b";a=\x0b"), ("bare-cr", b";a\rb"), ("bare-lf", b";a\nb"),
        ("quote-lf", b';a="\n"'), ("no-semicolon", b" a=b"),
        ("double-semicolon", b";;a"), ("high-name", b";\xe9"), ("at", b";a@b"), ("after-quote", b';a="b"c'),
        ("del", b";a\x7f"),
        ("endless", b";" + b"a" * (1 << 20)), ("crcrlf", b";a\r"),
    ]:
        yield case("extension-" + name, start + chunk(b"hello", extension) + end + HIDDEN)
        if name != "endless":
            yield case("last-extension-" + name, start + chunk(b"hello") + b"0" + extension + b"\r\n\r\n" + HIDDEN)
    data = refused("chunk data", "RFC 9112 7.1", partial=True)
    for name, body in [
        ("too-long", b"3\r\nhello\r\n"), ("too-short", b"7\r\nhello\r\n"), ("no-crlf", b"5\r\nhello5\r\nworld\r\n"),
        ("blank-before-crlf", b"5\r\nhello \r\n"),
        ("nul-for-crlf", b"5\r\nhello\0\0"), ("two-crlf", b"5\r\nhello\r\n\r\n"), ("x-for-crlf", b"5\r\nhelloXX"),
    ]:
        yield data("data-" + name, start + body + end + HIDDEN)
    trailer = refused("trailers", "RFC 9112 7.1.2, 5", partial=True, statuses=TOO_LARGE)
    for name, line in [
        ("no-colon", b"GARBAGE"), ("blank-before-colon", b"X-A : b"), ("folded", b"X-A: b\r\n c"), ("nul", b"X-A: \0"),
        ("cr", b"X-A: a\rb"),
        ("lf", b"X-A: a\nX-B: b"), ("empty-name", b": v"), ("leading-blank", b" X-A: b"),
        ("1MiB", b"X-A: " + b"v" * (1 << 20)),
        ("request-line", b"POST /VolumeDriver.Hidden HTTP/1.1"), ("control", b"X-A: \x01"), ("bad-name", b"X(A): b"),
        ("20000", b"\r\n".join(b"X-%d: v" % i for i in range(20000))),
    ]:
        yield trailer("trailer-" + name, start + chunk(b"hello") + b"0\r\n" + line + b"\r\n\r\n" + HIDDEN)


CASES = [*lengths(), *codings(), *chunk_sizes(), *extensions_and_data()]
