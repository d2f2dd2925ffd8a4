"""The receiving end of sd_notify(3)."""

import os
import socket
import threading
import time


class NotifySocket:
    """Reads all the time, as systemd does: a sender waits once ten messages lie unread."""

    def __init__(self, path):
        self.path = str(path)
        self.messages = []  # every line received, in order
        self._news = threading.Condition()
        self._taken = 0  # how many of the messages wait_for() has looked at
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while text := self._socket.recv(65536):
            with self._news:
                self.messages += text.decode("utf-8", "replace").splitlines()
                self._news.notify_all()

    def wait_for(self, line, timeout, alive=lambda: True):
        """Returns when `line` arrives after what earlier calls saw. Fails after `timeout` seconds, or once alive() is false."""
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                while self._taken < len(self.messages):
                    self._taken += 1
                    if self.messages[self._taken - 1] == line:
                        return
                if not alive() and not self._news.wait(0.2):
                    raise AssertionError(f"the process ended before it said {line}")
                if time.monotonic() > deadline:
                    raise AssertionError(f"no {line} within {timeout} s; heard {self.messages}")
                self._news.wait(0.05)

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", self.path)  # ends the reader
        self._reader.join(5)
        self._socket.close()
        os.unlink(self.path)
