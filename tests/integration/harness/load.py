"""Calls through a published socket, as engines make them: at a steady pace, or one after another and timed."""

import threading
import time

from . import unix_http
from .brokerd import Brokerd
from .waiting import percentile, wait_until


class Load:
    """Engines that call at a steady pace over kept connections, as Go's HTTP client does: a connection that refuses the
    first byte of a call is replaced, and that call is made on the new one; what else fails has failed."""

    def __init__(self, path, connections=4, calls_per_second=200):
        self.path, self.pause = path, connections / calls_per_second
        self.calls, self.failures = 0, []
        self._over, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(connections)]
        for thread in self._threads:
            thread.start()

    def _call(self, connection):
        try:
            return unix_http.send(connection, "POST", "/VolumeDriver.Capabilities", {}), connection
        except BrokenPipeError:
            connection.close()
            connection = unix_http.Connection(self.path, timeout=30)
            return unix_http.send(connection, "POST", "/VolumeDriver.Capabilities", {}), connection

    def _run(self):
        connection = unix_http.Connection(self.path, timeout=30)
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due = max(due + self.pause, time.monotonic() - 1)
            try:
                reply, connection = self._call(connection)
                problem = None if reply.status == 200 else repr(reply)
            except Exception as error:  # every failure counts
                problem = repr(error)
                connection.close()
                connection = unix_http.Connection(self.path, timeout=30)
            with self._lock:
                self.calls += 1
                if problem:
                    self.failures.append(problem)
        connection.close()

    def wait_for_calls(self, count):
        target = self.calls + count
        wait_until(lambda: self.calls >= target, f"{count} more calls", 60)

    def close(self):
        self._over.set()
        for thread in self._threads:
            thread.join(40)


def latencies(path, count=600):
    """Seconds for each of `count` calls on one keep-alive connection."""
    return beside([path], count)[0]


def beside(paths, count=600):
    """The same for several sockets, one call on each in turn: what else the machine does meets all of them alike."""
    connections = [unix_http.Connection(path, timeout=60) for path in paths]
    times = [[] for _ in paths]
    try:
        for _ in range(count):
            for connection, seen in zip(connections, times):
                begin = time.perf_counter()
                assert unix_http.send(connection, "POST", "/VolumeDriver.Capabilities", {}).status == 200
                seen.append(time.perf_counter() - begin)
    finally:
        for connection in connections:
            connection.close()
    return times


class Quiet:
    """A broker of its own before the same plugin, with nothing else to do: what its calls take is what others' calls are held against."""

    def __init__(self, directory, plugin_url):
        (directory / "quiet").mkdir()
        self.broker = Brokerd(directory / "quiet")
        self.broker.define("other", plugin_url)
        self.broker.start()
        self.broker.wait_state("other", "active")
        self.path = self.broker.published("other")
        self.close = self.broker.close

    def p99(self, path, count=600):
        """(of calls through `path`, of our own), in seconds."""
        return tuple(percentile(times, 0.99) for times in beside([path, self.path], count))

    def grown(self, path, spare, count=600, rounds=5):
        """By how much calls through `path` take longer than our own, at the 99th percentile, round by round; until one is within
        `spare` seconds."""
        rounds_seen = []
        while len(rounds_seen) < rounds and not any(loaded - own <= spare for loaded, own in rounds_seen):
            rounds_seen.append(self.p99(path, count))
        return rounds_seen
