"""A hundred thousand calls leave memory and descriptors where they were."""

import contextlib
import itertools
import os
import pathlib
import socket

import pytest
from harness.busy_plugin import BusyPlugin
from harness.plugins import free_port
from harness.waiting import wait_until

CALLS = 100_000
CLIENTS, PIPELINED = 16, 40
ROUNDS = 4  # for the hundred thousand calls
# Memory rises, ever less, to what the busiest moments took: a thread keeps 64 blocks of 128 KiB for the next one, of which
# each touches a few pages more. A leak shows in every round, however many there are; without one, a flat round comes.
MAX_ROUNDS = 16
# KiB for each thread:
ROUND_GROWTH = 160
GROWTH = 8192
PIPES = 16 + 2  # ends of pipes, and what the process was started with


def request(method, body=b""):
    return b"POST /%s HTTP/1.1\r\nHost: plugin\r\nContent-Length: %d\r\n\r\n%s" % (method, len(body), body)


SMALL, MEDIUM, LARGE = (request(b"VolumeDriver.Say", size) for size in (b"20", b"4000", b"200000"))
UPLOAD = request(b"VolumeDriver.Say", b"7".ljust(100_000))
FAILING = [request(b"VolumeDriver.Fail"), request(b"NetworkDriver.Join"), request(b"VolumeDriver.HangUp")]
LAST = [request(b"VolumeDriver.Break"), b"POST /VolumeDriver.Say HTTP/1.1\r\nHost: plugin\r\nContent-Length: x\r\n\r\n"]
ABORTED = [b"", b"POST /Vol", SMALL[:-1], SMALL, LARGE, UPLOAD[:50_000], request(b"VolumeDriver.HangUp")]


class Client:
    """One keep-alive connection with requests in a row."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(path)
        self.buffer = b""

    def statuses(self, count):
        """Reads `count` answers."""
        seen = []
        while len(seen) < count:
            end = self.buffer.find(b"\r\n\r\n")
            if end >= 0:
                start = self.buffer.lower().index(b"content-length:", 0, end) + 15
                stop = end + 4 + int(self.buffer[start:self.buffer.index(b"\r", start)])
                if len(self.buffer) >= stop:
                    seen.append(int(self.buffer[9:12]))
                    self.buffer = self.buffer[stop:]
                    continue
            piece = self.socket.recv(262144)
            assert piece, f"the connection ended after {seen} and {self.buffer[:200]}"
            self.buffer += piece
        return seen

    def rest(self):
        """Reads to the end of the connection."""
        while piece := self.socket.recv(262144):
            self.buffer += piece
        return self.buffer


def make_calls(path, clients, rounds):
    """A mixture: many small calls at once, some large, some that fail, some that the client gives up. Returns their number."""
    calls = 0
    for turn in range(rounds):
        batch = [SMALL] * (PIPELINED - 2) + [MEDIUM, FAILING[turn % 3]]
        for client in clients:
            client.socket.sendall(b"".join(batch))
        for client in clients:
            assert client.statuses(PIPELINED) == [200] * (PIPELINED - 1) + [(500, 404, 502)[turn % 3]]
        for large in (LARGE, UPLOAD):
            clients[turn % len(clients)].socket.sendall(large)
            assert clients[turn % len(clients)].statuses(1) == [200]
        for last in LAST:
            leaver = Client(path)
            leaver.socket.sendall(last)
            leaver.rest()
            leaver.socket.close()
        for aborted in ABORTED:
            leaver = Client(path)
            leaver.socket.sendall(aborted)
            leaver.socket.close()
        calls += len(clients) * PIPELINED + 2 + len(LAST) + len(ABORTED)
    return calls


def grown(memory):
    """What each round added."""
    return [after - earlier for earlier, after in itertools.pairwise(memory)]


@pytest.mark.parametrize("kind,threads", [("unix", 1), ("tcp", 2)])
def test_memory_and_descriptors_after_a_hundred_thousand_calls(broker, directory, closing, kind, threads):
    url = f"unix://{directory}/busy.sock" if kind == "unix" else f"tcp://127.0.0.1:{free_port()}"
    plugin = closing.add(BusyPlugin(directory, url))
    broker = broker(threads=threads)
    broker.define("busy", url)
    broker.start()
    path = str(broker.published("busy"))

    def load(calls):
        """Makes the calls; returns the memory once every client has gone."""
        clients = [Client(path) for _ in range(CLIENTS)]
        assert make_calls(path, clients, calls // (CLIENTS * PIPELINED) + 1) >= calls
        for client in clients:
            client.socket.close()
        return broker.memory()

    def descriptors():
        """All but pipes, of which each thread may keep a few for large bodies."""
        names = []
        for path in pathlib.Path(f"/proc/{broker.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                names.append(os.readlink(path))
        assert len([name for name in names if name.startswith("pipe:")]) <= PIPES * threads
        return len([name for name in names if not name.startswith("pipe:")])

    before = descriptors()
    broker.wait_state("busy", "active", 20)
    memory = [load(CALLS // 5)]
    memory += [load(CALLS // ROUNDS) for _ in range(ROUNDS)]
    if "libasan" not in pathlib.Path(f"/proc/{broker.process.pid}/maps").read_text(encoding="utf-8"):  # it keeps what is freed
        while min(growth := grown(memory)) > ROUND_GROWTH * threads and len(growth) < MAX_ROUNDS:
            memory.append(load(CALLS // ROUNDS))
        print(f"{memory[0]} KiB, then {growth} more")
        assert min(growth) <= ROUND_GROWTH * threads and sum(growth) <= GROWTH * threads
    plugin.kill()
    wait_until(lambda: descriptors() <= before, lambda: f"return to {before} descriptors: {descriptors()}")
    plugin.start()
    broker.wait_state("busy", "active", 20)
    assert broker.call("busy", "VolumeDriver.Say", b"3").body == bytes(3)
