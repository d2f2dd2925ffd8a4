"""Many connections to one Unix socket, held by a process of their own. Imported it is Crowd; run as a program it is the crowd itself.

What each connection does, for as long as it is there:

  idle      nothing
  head      sends the head of a request, a byte a second
  body      sends a head at once, and its body a byte a second
  reading   asks for what is large, and reads the answer a byte a second

The program is told how many (they connect one after another, and wait for that where there is no room), answers each line on stdin
with a line of counts, and ends with its stdin.
"""

import argparse
import errno
import json
import os
import resource
import select
import socket
import subprocess
import sys
import threading
import time

PAUSE = 1.0  # between two bytes of one connection
TURNS = 100  # in that time; each is for a part of the connections, so that bytes come evenly
HEAD = b"%s HTTP/1.1\r\nHost: plugin\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"


class Members:
    """The program: one thread for bytes, one for questions."""

    def __init__(self, options):
        self.options = options
        self.epoll = select.epoll()
        self.sockets = {}
        self.sent = {}  # of those that drip, how much
        self.connected = self.ended = self.refused = 0
        request = HEAD % (options.call.encode(), len(options.body) if options.manner == "reading" else 1_000_000)
        if options.manner == "head":
            request = request.replace(b"\r\n\r\n", b"\r\nX-Padding: " + b"x" * 20_000)
        self.request = request + (options.body.encode() if options.manner == "reading" else b"")

    def connect(self):
        for _ in range(self.options.count):
            member = socket.socket(socket.AF_UNIX)
            try:
                member.connect(self.options.path)
                if self.options.manner in ("body", "reading"):
                    member.sendall(self.request)
            except OSError as error:
                if error.errno == errno.EMFILE:
                    raise
                self.refused += 1
                member.close()
                continue
            member.setblocking(False)
            self.sockets[member.fileno()] = member
            self.sent[member.fileno()] = 0
            # Who reads slowly sees the end only when it gets there; that the connection is gone shows as a hang-up.
            self.epoll.register(member, 0 if self.options.manner == "reading" else select.EPOLLIN)
            self.connected += 1

    def drip(self, turn):
        for number, member in list(self.sockets.items()):
            if number % TURNS != turn % TURNS:
                continue
            try:
                if self.options.manner == "reading":
                    member.recv(1)
                elif self.options.manner != "idle":
                    at = self.sent[number]
                    member.send(self.request[at:at + 1] if self.options.manner == "head" else b"x")
                    self.sent[number] = at + 1
            except BlockingIOError:
                pass
            except OSError:
                self.end(number)

    def end(self, number):
        member = self.sockets.pop(number, None)
        if member is not None:
            self.epoll.unregister(member)
            member.close()
            self.ended += 1

    def look(self, seconds):
        for number, _events in self.epoll.poll(seconds, 1024):
            member = self.sockets.get(number)
            try:  # an answer is a refusal: its end comes with it
                if member is not None and (self.options.manner == "reading" or not member.recv(65536)):
                    self.end(number)
            except BlockingIOError:
                pass
            except OSError:
                self.end(number)

    def run(self):
        threading.Thread(target=self.answer_questions, daemon=True).start()
        self.connect()
        due, turn = time.monotonic(), 0
        while True:
            while time.monotonic() >= due and self.options.manner != "idle":
                self.drip(turn)
                due, turn = due + PAUSE / TURNS, turn + 1
            self.look(max(0.0, due - time.monotonic()) if self.options.manner != "idle" else 1.0)

    def answer_questions(self):
        for _line in sys.stdin:
            print(json.dumps({"connected": self.connected, "ended": self.ended, "refused": self.refused}), flush=True)
        os._exit(0)


class Crowd:
    """The program as an object."""

    def __init__(self, path, count, manner="idle", call="POST /VolumeDriver.Say", body=""):
        from .isolation import die_with_parent  # the program is run without its package
        self.count = count
        command = [sys.executable, __file__, str(path), str(count), manner, "--call", call, "--body", body]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)

    def counts(self):
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        assert line, "the crowd has ended by itself"
        return json.loads(line)

    def wait_connected(self, timeout=60):
        """Until all have connected; those that wait in the backlog have."""
        from .waiting import wait_until
        wait_until(lambda: self.counts()["connected"] >= self.count, lambda: f"{self.count} connections: {self.counts()}", timeout, 0.05)
        return self

    def is_gone(self):
        """Whether the other side has ended every connection."""
        counts = self.counts()
        return counts["ended"] + counts["refused"] >= self.count

    def close(self):
        if self._child.poll() is None:
            self._child.stdin.close()
            self._child.stdout.close()
            self._child.wait(60)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("count", type=int)
    parser.add_argument("manner", choices=["idle", "head", "body", "reading"])
    parser.add_argument("--call", required=True)
    parser.add_argument("--body", required=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    Members(parser.parse_args()).run()
