"""journald's end of the journal's socket (systemd.io, JOURNAL_NATIVE_PROTOCOL)."""

import os
import pathlib
import socket
import threading

from .waiting import wait_until

SOCKET = pathlib.Path("/run/systemd/journal/socket")  # in the tests' own /run


def parse(datagram):
    """The fields of an entry; a field that comes twice is an error here, for none of ours does."""
    fields = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:  # the form for values with line feeds: the length comes first
            size = int.from_bytes(rest[:8], "little")
            value, rest = rest[8:8 + size], rest[8 + size:]
            assert rest[:1] == b"\n", datagram
            rest = rest[1:]
        assert name.decode() not in fields, datagram
        fields[name.decode()] = value.decode("utf-8", "replace")
        datagram = rest
    return fields


class Journal:
    """Takes what brokerd logs, from when read() is called first."""

    def __init__(self):
        SOCKET.parent.mkdir(parents=True, exist_ok=True)
        self.entries = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(SOCKET))
        self._reader = threading.Thread(target=self._read, daemon=True)

    @staticmethod
    def environment(broker):
        """What makes that broker believe that its stderr is the journal's."""
        log = broker.directory / "brokerd.log"
        log.touch()
        status = log.stat()
        return {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}

    def read(self):
        self._reader.start()
        return self

    def wait_for(self, what="", **fields):
        """Returns the first entry with these fields and `what` in its message."""
        def found():
            for entry in list(self.entries):
                if what in entry["MESSAGE"] and all(entry.get(name) == value for name, value in fields.items()):
                    return entry
            return None
        return wait_until(found, lambda: f"{what} {fields} in {[entry['MESSAGE'] for entry in self.entries][-20:]}", 30)

    def of(self, plugin, debug=False):
        """What brokerd says of one plugin, in order, as `journalctl -p info` shows it, or with "debug"."""
        return [entry["MESSAGE"] for entry in list(self.entries)
                if (entry.get("PLUGIN_NAME"), entry["SYSLOG_IDENTIFIER"]) == (plugin, "brokerd") and (debug or int(entry["PRIORITY"]) < 7)]

    def _read(self):
        while datagram := self._socket.recv(1 << 20):
            self.entries.append(parse(datagram))

    def close(self):
        if self._reader.is_alive():
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.sendto(b"", str(SOCKET))  # ends the reader
            self._reader.join(5)
        self._socket.close()
        os.unlink(SOCKET)  # others take it for a journal that runs
