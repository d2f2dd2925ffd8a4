"""The receiving end of sd_notify(3)."""

import os
import socket
import time


class NotifySocket:
    def __init__(self, path):
        self.path = str(path)
        self.messages = []  # every line received, in order
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)

    def wait_for(self, line, timeout, alive=lambda: True):
        """Returns when `line` arrives. Fails after `timeout` seconds, or once alive() is false."""
        deadline = time.monotonic() + timeout
        while True:
            self._socket.settimeout(0.05)
            try:
                lines = self._socket.recv(65536).decode("utf-8", "replace").splitlines()
            except TimeoutError:
                lines = []
            self.messages += lines
            if line in lines:
                return
            if not lines and not alive():
                raise AssertionError(f"the process ended before it said {line}")
            if time.monotonic() > deadline:
                raise AssertionError(f"no {line} within {timeout} s; heard {self.messages}")

    def close(self):
        self._socket.close()
        os.unlink(self.path)
