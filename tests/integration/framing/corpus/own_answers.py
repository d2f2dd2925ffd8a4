"""What the broker answers itself (DESIGN.md section 7): its framing must hold for these too."""

from cases import CASE, HIDDEN, HOST, Own, chunk, counted, head, lines

CODING = b"Transfer-Encoding: chunked"
OTHER = b"/NetworkDriver.Join"
HANDSHAKE = lines(b"POST /Plugin.Activate HTTP/1.1", b"Host:", CASE,
        b"Accept: application/vnd.docker.plugins.v1.2+json", b"Content-Length: 0")


def own_answers():
    def case(name, wire, *statuses, methods=None, forwarded=0):
        return Own("own-" + name, "broker's own answers", "DESIGN.md 7, RFC 9112 6, 9.3", wire,
                methods or (b"POST",) * len(statuses), statuses, forwarded)
    call, coded = counted(b"ok"), head(CODING, target=OTHER) + chunk(b"hello") + b"0\r\n\r\n"
    yield case("handshake", HANDSHAKE, 200)
    yield case("handshake-body", lines(b"POST /Plugin.Activate HTTP/1.1", HOST, CASE, b"Content-Length: 2") + b"{}",
            200)
    yield case("handshake-chunked", lines(b"POST /Plugin.Activate HTTP/1.1", HOST, CASE,
            CODING) + chunk(b"{}") + b"0\r\n\r\n", 200)
    yield case("handshake-then-call", HANDSHAKE + call, 200, 200, forwarded=1)
    yield case("call-then-handshake", call + HANDSHAKE + call, 200, 200, 200, forwarded=2)
    yield case("handshake-3", HANDSHAKE * 3, 200, 200, 200)
    for name, target in [("other-capability", OTHER), ("root", b"/"), ("no-method", b"/VolumeDriver"),
            ("deep", b"/a/b"), ("word", b"/ping")]:
        yield case("404-" + name, counted(b"hello", target=target), 404)
        yield case("404-then-call-" + name, counted(b"hello", target=target) + call, 404, 200, forwarded=1)
    yield case("404-GET", head(method=b"GET", target=OTHER), 404, methods=(b"GET",))
    yield case("404-HEAD", head(method=b"HEAD", target=OTHER) + call, 404, 200, methods=(b"HEAD", b"POST"), forwarded=1)
    yield case("404-chunked", coded, 404)
    yield case("404-chunked-then-call", coded + call, 404, 200, forwarded=1)
    yield case("404-body-is-a-request", counted(HIDDEN, target=OTHER) + call, 404, 200, forwarded=1)
    yield case("404-64KiB", counted(b"b" * (1 << 16), target=OTHER) + call, 404, 200, forwarded=1)
    yield case("404-1MiB", counted(b"b" * (1 << 20), target=OTHER), 404)
    yield case("404-expect", head(b"Expect: 100-continue", b"Content-Length: 5", target=OTHER) + b"hello", 404)
    yield case("404-between", call + coded + call, 200, 404, 200, forwarded=2)


CASES = list(own_answers())
