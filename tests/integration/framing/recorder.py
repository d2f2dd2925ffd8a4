"""The plugin of the suite: answers what a case scripts, and records every byte that the proxy sends it.

One thread accepts, one thread serves each connection from the proxy; all records are kept under one condition variable.
"""

import fcntl
import hashlib
import json
import os
import socket
import struct
import termios
import threading
import time
from dataclasses import dataclass, field

import http1

CASE_FIELD = b"X-Case"
RAW_KEPT = 1 << 16


@dataclass
class Script:
    """What to reply to one request, raw. `then`: keep, close, reset, or half-close the connection afterwards.

    `when` is "complete" or "head" (answer before the body has come). `late` is sent `late_after` seconds later, on a
    connection that the proxy may already consider idle.
    """

    segments: list = field(default_factory=list)
    then: str = "keep"
    when: str = "complete"
    paced: bool = False
    delay: float = 0.0
    late: bytes = b""
    late_after: float = 0.05
    played: bool = False  # set by the recorder when everything has been sent


@dataclass
class Seen:
    """One request, or the beginning of one, as it came in."""

    connection: int
    raw: bytearray = field(default_factory=bytearray)
    message: http1.Message = None
    complete: bool = False
    violation: str = ""
    ended: bool = False  # the proxy closed the connection it came on
    token: bytes = b""
    leaks: list = field(default_factory=list)
    handshake: bool = False  # the proxy's own call, no case's

    def brief(self):
        state = self.violation or ("complete" if self.complete else "unfinished")
        return "%s: %r" % (state, bytes(self.raw[:120]))


def unread_by_peer(sock):
    """Bytes sent that the peer has not read yet; on a Unix socket this is exact."""
    buffer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    return struct.unpack("i", buffer)[0]


def wait_until_read(sock, seconds=0.02):
    """Waits until the peer has read everything sent, so that each segment arrives by itself. False: it did not."""
    if sock.family != socket.AF_UNIX:
        time.sleep(0.0001)
        return True
    deadline = time.monotonic() + seconds
    spins = 0
    while unread_by_peer(sock):
        if time.monotonic() > deadline:
            return False
        spins += 1
        if spins < 4:
            os.sched_yield()
        else:
            time.sleep(0.00002)
    return True


def default_answer(message, token):
    body = json.dumps({
        "Case": token.decode("latin-1"),
        "Target": message.target.decode("latin-1"),
        "Length": len(message.body),
        "Sha": hashlib.sha256(message.body).hexdigest()[:16],
    }).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Case: %s\r\nContent-Length: %d\r\n\r\n" % (
        token, len(body))
    return head if message.method == b"HEAD" else head + body


class Recorder:
    """Serves the given listening sockets until stop(); thread-safe."""

    def __init__(self, listeners):
        self.changed = threading.Condition()
        self.seen = []
        self.scripts = {}
        self.connections = 0
        self.open = set()
        self.stopping = False
        for listener in listeners:
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def script(self, token, script):
        with self.changed:
            self.scripts[token] = script

    def mark(self):
        with self.changed:
            return len(self.seen)

    def since(self, mark):
        with self.changed:
            return [entry for entry in self.seen[mark:] if not entry.handshake]

    def everything(self):
        with self.changed:
            return list(self.seen)

    def wait(self, condition, seconds):
        """Waits until condition() holds, which is evaluated under the lock. Returns whether it does."""
        with self.changed:
            return self.changed.wait_for(condition, seconds)

    def stop(self):
        self.stopping = True

    def _accept(self, listener):
        while not self.stopping:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self.changed:
                self.connections += 1
                number = self.connections
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock, number):
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = http1.Reader("request")
        current = None
        try:
            while True:
                data = sock.recv(1 << 18)
                if not data:
                    break
                current = self._consume(sock, number, reader, data, current)
                if current is False:
                    break
        except OSError:
            pass
        finally:
            sock.close()  # before it is said: who waits for `ended` finds the connection closed
            with self.changed:
                for entry in self.seen:
                    if entry.connection == number:
                        entry.ended = True
                self.changed.notify_all()

    def _consume(self, sock, number, reader, data, current):
        """Takes bytes in; returns the request they belong to, None between requests, False to close."""
        reader.feed(data)
        while True:
            if current is None:
                if not data:
                    return None
                current = self._begin(number)
            with self.changed:
                if len(current.raw) < RAW_KEPT:
                    current.raw += data[:RAW_KEPT]
            try:
                event = reader.next_event()
            except http1.Violation as violation:
                with self.changed:
                    current.violation = str(violation)
                    self.changed.notify_all()
                return False
            if event is None:
                return current
            data = b""
            if event[0] == "head":
                if not self._on_head(sock, current, event[1]):
                    return False
                continue
            data = bytes(reader.buffer)
            finished, current = current, None
            if data:  # pipelined bytes belong to the next request
                del finished.raw[max(0, len(finished.raw) - len(data)):]
            if not self._on_complete(sock, finished):
                return False

    def _begin(self, number):
        entry = Seen(number)
        with self.changed:
            self.seen.append(entry)
        return entry

    def _on_head(self, sock, entry, message):
        with self.changed:
            entry.message = message
            entry.token = message.get(CASE_FIELD) or b""
            entry.leaks = http1.connection_leaks(message)
            if message.target == b"/Plugin.Activate":
                entry.handshake = True
            script = self.scripts.get(entry.token)
        if (message.get(b"expect") or b"").lower() == b"100-continue" and (not script or script.when != "head"):
            sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if script and script.when == "head":
            return self._play(sock, script)
        return True

    def _on_complete(self, sock, entry):
        message = entry.message
        with self.changed:
            entry.complete = True
            script = self.scripts.get(entry.token)
            self.changed.notify_all()
        if message.target == b"/Plugin.Activate":
            body = b'{"Implements": ["VolumeDriver"]}'
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.plugins.v1.2+json\r\n"
                         b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            return True
        if script is None:
            sock.sendall(default_answer(message, entry.token))
            return True
        return True if script.when == "head" else self._play(sock, script)

    def _play(self, sock, script):
        """Sends a script. Returns whether the connection goes on."""
        try:
            return self._send_script(sock, script)
        finally:
            with self.changed:
                script.played = True
                self.changed.notify_all()

    def _send_script(self, sock, script):
        if script.delay:
            time.sleep(script.delay)
        for segment in script.segments:
            sock.sendall(segment)
            if script.paced:
                wait_until_read(sock)
        if script.late:
            time.sleep(script.late_after)
            sock.sendall(script.late)
        if script.then == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if script.then == "half-close":
            sock.shutdown(socket.SHUT_WR)
            return True
        return script.then == "keep"
