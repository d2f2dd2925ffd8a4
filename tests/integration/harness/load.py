"""Calls through a published socket at a steady pace, as engines make them."""

import threading
import time

from . import unix_http
from .waiting import wait_until


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
