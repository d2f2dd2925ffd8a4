"""The receiving end of sd_notify(3), and systemd's descriptor store behind it."""

import os
import socket
import threading
import time

from .build import PATIENCE


class DescriptorStore:
    """What a service has given to systemd to keep, by FDNAME; outlives the service's processes."""

    def __init__(self):
        self.kept = []  # (name, descriptor), in order

    def take_note(self, lines, descriptors):
        """One message of sd_pid_notify_with_fds(3). The descriptors are the store's from now on."""
        fields = dict(line.split("=", 1) for line in lines if "=" in line)
        if fields.get("FDSTOREREMOVE") == "1":
            for entry in [entry for entry in self.kept if entry[0] == fields["FDNAME"]]:
                self.kept.remove(entry)
                os.close(entry[1])
        if fields.get("FDSTORE") == "1":
            self.kept += [(fields["FDNAME"], descriptor) for descriptor in descriptors]
        else:
            for descriptor in descriptors:
                os.close(descriptor)

    def names(self):
        return sorted(name for name, _ in self.kept)

    def sockets(self):
        """The names of all but those that belong to the keeper of connections."""
        return [name for name in self.names() if not name.startswith("connections/")]

    def close(self):
        while self.kept:
            os.close(self.kept.pop()[1])


class NotifySocket:
    """Reads all the time, as systemd does: a sender waits once ten messages lie unread."""

    def __init__(self, path, store=None):
        self.path = str(path)
        self.store = store
        self.messages = []  # every line received, in order
        self._news = threading.Condition()
        self._taken = 0  # how many of the messages wait_for() has looked at
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            text, descriptors, _, _ = socket.recv_fds(self._socket, 65536, 16)
            if not text:
                return
            lines = text.decode("utf-8", "replace").splitlines()
            with self._news:
                if self.store is not None:
                    self.store.take_note(lines, descriptors)
                else:
                    for descriptor in descriptors:
                        os.close(descriptor)
                self.messages += lines
                self._news.notify_all()

    def wait_for(self, line, timeout, alive=lambda: True):
        """Returns when `line` arrives after what earlier calls saw. Fails after `timeout` seconds, or once alive() is false."""
        deadline = time.monotonic() + PATIENCE * timeout
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
