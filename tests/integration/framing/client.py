"""The engine's side: sends exact bytes in exact pieces, and reads the answers strictly."""

import select
import socket
import time

import http1
from recorder import wait_until_read


class Conversation:
    """One connection to the proxy. Records answers, violations and the end; never raises for what the peer does."""

    def __init__(self, path, seconds):
        self.deadline = time.monotonic() + seconds
        self.reader = http1.Reader("response")
        self.raw = bytearray()
        self.finals = []
        self.interims = []
        self.violation = ""
        self.eof = False
        self.timed_out = False
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(seconds)
        self.sock.connect(path)
        self.sock.setblocking(False)

    def close(self):
        self.sock.close()

    def extend(self, seconds):
        self.deadline = time.monotonic() + seconds
        self.timed_out = False

    def expect(self, *methods):
        for method in methods:
            self.reader.expect(method)

    def send(self, segments, paced=False):
        """Sends every segment by itself, reading answers meanwhile. Stops where the peer no longer takes bytes."""
        for segment in segments:
            if not self._send_one(segment):
                return False
            if paced:
                paced = wait_until_read(self.sock)
                self._receive()
            if self.eof:
                return False
        return True

    def _send_one(self, segment):
        view = memoryview(segment)
        while view:
            try:
                view = view[self.sock.send(view):]
                continue
            except BlockingIOError:
                pass
            except OSError:
                self._receive()
                return False
            if not self._wait(select.POLLOUT | (0 if self.eof else select.POLLIN)):
                return False
            self._receive()
            if self.eof:
                return False
        return True

    def half_close(self):
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def read_until(self, done):
        """Reads until done() holds, the peer closes, or the deadline passes. Returns done()."""
        while True:
            self._receive()
            if done() or self.eof:
                return done()
            if not self._wait(select.POLLIN):
                return done()

    def read_answers(self, count):
        return self.read_until(lambda: len(self.finals) >= count or bool(self.violation))

    def read_to_end(self):
        return self.read_until(lambda: self.eof)

    def _wait(self, events):
        left = self.deadline - time.monotonic()
        poll = select.poll()
        poll.register(self.sock, events)
        if left <= 0 or not poll.poll(left * 1000):
            self.timed_out = True
            return False
        return True

    def _receive(self):
        while not self.eof:
            try:
                data = self.sock.recv(1 << 18)
            except BlockingIOError:
                return
            except OSError:  # a reset ends the connection as a close does
                data = b""
            if not data:
                self.eof = True
                closed = self.reader.eof() if not self.violation else None
                if closed:
                    self.finals.append(closed)
                return
            self.raw += data
            if self.violation:
                continue
            self.reader.feed(data)
            self._parse()

    def _parse(self):
        try:
            while (event := self.reader.next_event()) is not None:
                if event[0] == "complete":
                    interim = event[1].status < 200
                    (self.interims if interim else self.finals).append(event[1])
        except http1.Violation as violation:
            self.violation = str(violation)

    def unfinished(self):
        """An answer has begun and can no longer be completed."""
        return self.eof and not self.reader.idle()

    def brief(self):
        parts = ["%d answer(s) %s" % (len(self.finals), [m.status for m in self.finals])]
        if self.violation:
            parts.append("violation: " + self.violation)
        if self.unfinished() and not self.violation:
            parts.append("an unfinished answer")
        parts.append("closed" if self.eof else "TIMED OUT" if self.timed_out else "open")
        if self.raw:
            parts.append("%r" % bytes(self.raw[:160]))
        return ", ".join(parts)
