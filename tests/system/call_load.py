"""Calls through a published socket at a steady rate, as an engine makes them: on a few connections that are kept."""

import http.client
import select
import threading
import time

from harness.unix_http import ACCEPT, Connection, send


class CallLoad:
    """Runs while the with statement does. `calls` are (begin, end, what went wrong or None), in seconds of
    time.monotonic()."""

    def __init__(self, path, rate=200, connections=4, method="VolumeDriver.List"):
        self.path = path
        self.method = method
        self.calls = []
        self._pause = connections / rate
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(connections)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def lost(self):
        return [call for call in self.calls if call[2] is not None]

    def wait_for_more(self, count, timeout=60):
        """Until so many calls more have ended."""
        wanted, deadline = len(self.calls) + count, time.monotonic() + timeout
        while len(self.calls) < wanted:
            assert time.monotonic() < deadline, f"{len(self.calls)} calls, and no more"
            time.sleep(0.01)

    def _run(self):
        connection = Connection(self.path, timeout=60)
        due = time.monotonic()
        while not self._stop.is_set():
            due = max(due + self._pause, time.monotonic() - 1)
            begin = time.monotonic()
            problem = None
            try:
                if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
                    connection.close()  # the other side has closed it, between two calls
                reply = send(connection, "POST", "/" + self.method, {}, {"Accept": ACCEPT})
                if reply.status != 200:
                    problem = repr(reply)
            except (OSError, http.client.HTTPException) as error:
                problem = repr(error)
                connection.close()
            self.calls.append((begin, time.monotonic(), problem))
            self._stop.wait(max(0, due - time.monotonic()))
        connection.close()
