"""RFC 9110 7.6.1: what belongs to one connection goes no further, in either direction."""

from cases import Accepted, Response, Wanted, chunk, counted, head, lines

RULE = "RFC 9110 7.6.1"
MARK = b"one-hop-only"
END_TO_END = (b"X-End", b"kept")


def requests():
    def case(name, *fields, closes=False, absent=(MARK,)):
        wanted = Wanted(body=b"ok", fields=(END_TO_END,), absent=absent)
        return Accepted("hop-" + name, "hop-by-hop", RULE, counted(b"ok", b"X-End: kept", *fields), (wanted,),
                closes=closes)
    yield case("named", b"Connection: X-Hop", b"X-Hop: " + MARK)
    yield case("named-before", b"X-Hop: " + MARK, b"Connection: X-Hop")
    yield case("named-case", b"Connection: x-hOP", b"X-HOP: " + MARK)
    yield case("named-two", b"Connection: X-Hop, X-Hop2", b"X-Hop: " + MARK, b"X-Hop2: " + MARK)
    yield case("named-two-lines", b"Connection: X-Hop", b"Connection: X-Hop2", b"X-Hop: " + MARK, b"X-Hop2: " + MARK)
    yield case("named-repeated-field", b"Connection: X-Hop", b"X-Hop: " + MARK, b"X-Hop: " + MARK)
    yield case("named-tight-list", b"Connection: keep-alive,X-Hop", b"X-Hop: " + MARK)
    yield case("named-tabs", b"Connection:\tX-Hop\t,\tfoo", b"X-Hop: " + MARK)
    yield case("named-empty-members", b"Connection: ,, X-Hop ,", b"X-Hop: " + MARK)
    yield case("named-with-close", b"Connection: close, X-Hop", b"X-Hop: " + MARK, closes=True)
    yield case("named-absent", b"Connection: X-Not-There")
    yield case("named-underscore", b"Connection: X_Hop", b"X_Hop: " + MARK)
    yield case("named-30", b"Connection: " + b", ".join(b"X-H%d" % i for i in range(30)),
            *[b"X-H%d: " % i + MARK for i in range(30)])
    yield case("keep-alive", b"Connection: keep-alive", b"Keep-Alive: timeout=5, " + MARK)
    yield case("keep-alive-unnamed", b"Keep-Alive: " + MARK)
    yield case("keep-alive-named", b"Connection: Keep-Alive", b"Keep-Alive: " + MARK)
    yield case("proxy-connection", b"Proxy-Connection: " + MARK)
    yield case("proxy-connection-keep-alive", b"Proxy-Connection: keep-alive", absent=(b"Proxy-Connection",))
    yield case("te", b"Connection: TE", b"TE: trailers, " + MARK)
    yield case("te-unnamed", b"TE: " + MARK)
    yield case("upgrade", b"Connection: Upgrade", b"Upgrade: " + MARK)
    yield case("upgrade-unnamed", b"Upgrade: " + MARK)
    yield case("upgrade-websocket", b"Connection: keep-alive, Upgrade", b"Upgrade: websocket",
            b"Sec-WebSocket-Version: 13",
               absent=(b"Upgrade",))
    yield case("upgrade-h2c", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: " + MARK)
    yield case("proxy-authorization", b"Proxy-Authorization: Basic " + MARK)
    yield case("proxy-authenticate", b"Proxy-Authenticate: Basic " + MARK)
    yield case("proxy-authorization-named", b"Connection: Proxy-Authorization", b"Proxy-Authorization: Basic " + MARK)
    yield Accepted("hop-chunked-named", "hop-by-hop", RULE, head(b"Connection: X-Hop", b"X-Hop: " + MARK,
            b"X-End: kept", b"Transfer-Encoding: chunked")
                   + chunk(b"ok") + b"0\r\n\r\n", (Wanted(body=b"ok", fields=(END_TO_END,), absent=(MARK,)),))
    yield Accepted("hop-1.0-keep-alive", "hop-by-hop", RULE, counted(b"ok", b"Connection: keep-alive, X-Hop",
            b"X-Hop: " + MARK, b"X-End: kept",
                   version=b"HTTP/1.0"), (Wanted(body=b"ok", fields=(END_TO_END,), absent=(MARK,)),))


def responses():
    def case(name, *fields, absent=(MARK,), **options):
        raw = lines(b"HTTP/1.1 200 OK", b"X-End: kept", b"Content-Length: 2", *fields) + b"ok"
        return Response("answer-hop-" + name, "answers: hop-by-hop", RULE, raw, 200, b"ok", fields=(END_TO_END,),
                absent=absent, **options)
    yield case("named", b"Connection: X-Hop", b"X-Hop: " + MARK)
    yield case("named-before", b"X-Hop: " + MARK, b"Connection: X-Hop")
    yield case("named-case", b"Connection: X-HOP", b"x-hop: " + MARK)
    yield case("named-two", b"Connection: X-Hop, X-Hop2", b"X-Hop: " + MARK, b"X-Hop2: " + MARK)
    yield case("named-two-lines", b"Connection: X-Hop", b"Connection: X-Hop2", b"X-Hop: " + MARK, b"X-Hop2: " + MARK)
    yield case("named-with-close", b"Connection: close, X-Hop", b"X-Hop: " + MARK, then="close")
    yield case("keep-alive", b"Connection: keep-alive", b"Keep-Alive: timeout=5, " + MARK)
    yield case("keep-alive-unnamed", b"Keep-Alive: " + MARK)
    yield case("proxy-connection", b"Proxy-Connection: " + MARK)
    yield case("te", b"TE: " + MARK)
    yield case("upgrade", b"Connection: Upgrade", b"Upgrade: " + MARK)
    yield case("upgrade-unnamed", b"Upgrade: " + MARK)
    yield case("proxy-authenticate", b"Proxy-Authenticate: Basic " + MARK)
    yield case("proxy-authorization", b"Proxy-Authorization: " + MARK)


CASES = [*requests(), *responses()]
