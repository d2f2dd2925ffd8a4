"""A small strict proxy, to try the suite itself: it must pass everything, and with --fault NAME it must be caught.

It reads with the suite's own strict reader, holds whole messages, and opens one connection to the plugin for each call.
Slow and simple on purpose; it is no model for brokerd.
"""

import argparse
import json
import re
import signal
import socket
import threading

import http1

MAX_HEAD = 1 << 16
SECONDS = 8
REGENERATED = (b"connection", b"content-length", b"transfer-encoding", b"expect", b"trailer", *http1.HOP_BY_HOP)
#: What --fault can break; each must make the suite fail.
FAULTS = ("relay", "keeps-hop-by-hop", "lax-framing", "no-close", "retries", "silent", "forwards-head-early", "no-100",
        "truncates-silently",
          "swaps-answers", "repeats-error", "old-chunks")


class Refusal(Exception):
    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


def tolerant(data):
    """What a careless proxy makes of bytes before it reads them (fault lax-framing)."""
    data = re.sub(rb"\r?\n", b"\r\n", data)
    data = re.sub(rb"(?im)^(Content-Length|Transfer-Encoding)[ \t]+:", rb"\1:", data)
    if re.search(rb"(?im)^transfer-encoding:", data):
        data = re.sub(rb"(?im)^content-length:[^\r]*\r\n", b"", data)
    return data


class Client:
    """Serves one client connection."""

    def __init__(self, sock, upstream, fault):
        self.sock, self.upstream, self.fault = sock, upstream, fault
        self.reader = http1.Reader("request")
        self.count = 0  # bytes of the current head
        self.fresh = True

    def serve(self):
        self.sock.settimeout(SECONDS)
        try:
            while (request := self.next_request()) is not None:
                if not self.answer(request):
                    break
        except Refusal as refusal:
            self.refuse(refusal)
        except OSError:
            pass
        finally:
            self.sock.close()

    def refuse(self, refusal):
        body = json.dumps({"Err": str(refusal)}).encode()
        answer = b"HTTP/1.1 %d Refused\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (
            refusal.status, len(body), body)
        try:
            self.sock.sendall(answer * (2 if self.fault == "repeats-error" else 1))
            if self.fault == "no-close":
                self.sock.recv(1)
            self.sock.shutdown(socket.SHUT_WR)
            self.sock.settimeout(0.2)
            while self.sock.recv(1 << 18):
                pass
        except OSError:
            pass

    def next_request(self):
        asked = False
        while True:
            try:
                if self.reader.state == "start" and self.reader.buffer[:2] == b"\r\n" and self.fresh:
                    del self.reader.buffer[:2]  # RFC 9112 2.2: one empty line before the request
                    self.fresh = False
                half = self.reader.state == "start" and self.reader.buffer == b"\r"
                event = None if half else self.reader.next_event()
            except http1.Violation as violation:
                raise Refusal(400, violation) from None
            if event and event[0] == "complete":
                self.fresh, self.count = True, 0
                if len(event[1].trailers) > 100:
                    raise Refusal(431, "too many trailers")
                return event[1]
            if event:
                asked = self.on_head(event[1])
                continue
            if asked and not self.reader.buffer and self.fault != "no-100":
                self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            asked = False
            if not self.more():
                return None

    def more(self):
        data = self.sock.recv(1 << 16)
        if not data:
            if not self.reader.idle():
                raise Refusal(400, "cut short")
            return False
        if self.reader.state in ("start", "fields", "size", "trailers"):
            self.count += len(data)
            if len(self.reader.buffer) > MAX_HEAD or self.count > 1 << 22:
                raise Refusal(431, "too large")
        self.reader.feed(tolerant(data) if self.fault == "lax-framing" else data)
        return True

    def on_head(self, message):
        """Checks what the reader does not; returns whether the client waits for a 100."""
        if sum(len(n) + len(v) for n, v in message.fields) > MAX_HEAD:
            raise Refusal(431, "too large")
        match = re.fullmatch(rb"(?i:http)://(\[[0-9a-f:]+\]|[a-z0-9.]+)(:[0-9]*)?(/\S*)", message.target)
        if match:
            message.target = match[3]
            message.fields = [(n, match[1] if n.lower() == b"host" else v) for n, v in message.fields]
        if not message.target.startswith(b"/") or message.method == b"CONNECT":
            raise Refusal(400, "target")
        for name in (b"content-length", b"transfer-encoding", b"host"):
            if name in message.options():
                raise Refusal(400, "a framing field named in Connection")
        if self.fault == "forwards-head-early" and message.framing == "chunked":
            with self.connect() as plugin:
                plugin.sendall(head_of(message, self.fault) + b"0\r\n\r\n")
        return message.version == b"1.1" and (message.get(b"expect") or b"").lower() == b"100-continue"

    def connect(self):
        kind, where = self.upstream
        plugin = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET)
        plugin.settimeout(SECONDS)
        plugin.connect(where if kind == "unix" else ("127.0.0.1", int(where)))
        return plugin

    def answer(self, request):
        interims, response = self.call(request)
        if self.fault == "retries" and response is None:
            interims, response = self.call(request)
        if response is None:
            if self.fault == "silent":
                self.sock.recv(1)
            raise Refusal(502, "no valid answer from the plugin")
        old = request.version == b"1.0"
        closes = old or b"close" in request.options()
        for interim in [] if old else interims:
            self.sock.sendall(b"HTTP/1.1 %d Interim\r\n%s\r\n" % (interim.status, fields_of(interim, self.fault)))
        bodiless = request.method == b"HEAD" or response.status in (204, 304)
        head = b"HTTP/1.1 %d Reason\r\n%s" % (response.status, fields_of(response, self.fault))
        if closes:
            head += b"Connection: close\r\n"
        if self.fault == "old-chunks" and not bodiless:
            tail = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(response.body) or 1,
                    bytes(response.body) or b" ")
        elif bodiless:
            tail = b"\r\n"
        else:
            tail = b"Content-Length: %d\r\n\r\n%s" % (len(response.body), response.body)
        self.sock.sendall(head + tail)
        return not closes

    held = []

    def call(self, request):
        """Interim answers and the final one, or None in its place where the plugin gave none that is valid."""
        with self.connect() as plugin:
            plugin.sendall(head_of(request, self.fault) + b"Content-Length: %d\r\n\r\n%s" % (len(request.body),
                    request.body))
            reader = http1.Reader("response")
            reader.expect(request.method)
            interims, final = self.read_response(plugin, reader)
        if self.fault == "swaps-answers" and final:
            self.held.append(final)
            return interims, self.held.pop(0) if len(self.held) > 3 else final
        return interims, final

    def read_response(self, plugin, reader):
        interims, size = [], 0
        try:
            while True:
                event = reader.next_event()
                if event and event[0] == "complete":
                    if event[1].status == 101:
                        return interims, None
                    if event[1].status >= 200:
                        return interims, event[1]
                    interims.append(event[1])
                if event:
                    continue
                data = plugin.recv(1 << 18)
                if not data:
                    final = reader.eof()
                    if self.fault == "truncates-silently" and final is None and reader.message and reader.message.body:
                        final = reader.message
                    return interims, final
                size = size + len(data) if reader.state in ("start", "fields", "trailers", "size") else 0
                if size > MAX_HEAD * 4:
                    return interims, None
                reader.feed(data)
                if reader.state in ("start",
                        "fields") and len(reader.buffer) > MAX_HEAD and b"\r\n\r\n" not in reader.buffer[:MAX_HEAD]:
                    return interims, None
        except (http1.Violation, OSError):
            return interims, None


def fields_of(message, fault):
    named = message.options()
    kept = [(n, v) for n, v in message.fields
            if fault == "keeps-hop-by-hop" and n.lower() not in (b"content-length", b"transfer-encoding")
                or n.lower() not in (*REGENERATED, *named)]
    return b"".join(b"%s: %s\r\n" % field for field in kept)


def head_of(request, fault):
    host = b"" if request.get_all(b"host") else b"Host: \r\n"
    return b"%s %s HTTP/1.1\r\n%s%s" % (request.method, request.target, host, fields_of(request, fault))


def relay(client, upstream):
    """The fault "relay": bytes through, unread."""
    plugin = Client(client, upstream, "").connect()

    def pump(source, sink):
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
    back = threading.Thread(target=pump, args=(plugin, client), daemon=True)
    back.start()
    pump(client, plugin)
    back.join(SECONDS)
    client.close()
    plugin.close()


def accept(listener, upstream, fault):
    while True:
        client, _ = listener.accept()
        target = (lambda c=client: relay(c, upstream)) if fault == "relay" else Client(client, upstream, fault).serve
        threading.Thread(target=target, daemon=True).start()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fault", default="", choices=("", *FAULTS))
    parser.add_argument("lanes", nargs="+", help="PUBLISHED=unix:PATH or PUBLISHED=tcp:PORT")
    options = parser.parse_args()
    for lane in options.lanes:
        path, _, target = lane.partition("=")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(512)
        threading.Thread(target=accept, args=(listener, tuple(target.split(":", 1)), options.fault),
                daemon=True).start()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
