"""A volume plugin for many calls at once. Imported it is BusyPlugin; run as a program it is the plugin itself.

The method says what happens to a call:

  VolumeDriver.Say      answers with as many bytes as its body, a number, says
  VolumeDriver.Fail     answers 500
  VolumeDriver.HangUp   closes the connection without an answer
  VolumeDriver.Break    closes the connection in the middle of an answer
  VolumeDriver.Count    notes its body, an ID, in the record, and then answers; of the first life only the first `answers`

Whatever arrives is in the record before anything else happens: what is not in it never arrived.
"""

import asyncio
import os
import socket
import sys

MANIFEST = b'{"Implements":["VolumeDriver"]}'
BACKLOG = 100


def message(body, status=b"200 OK"):
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


class Connection(asyncio.Protocol):
    def __init__(self, plugin):
        self.plugin = plugin
        self.buffer = b""
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower() + b"\r\n"
            start = head.find(b"\r\ncontent-length:")
            size = int(head[start + 17:head.index(b"\r", start + 2)]) if start >= 0 else 0
            if len(self.buffer) < end + 4 + size:
                return
            method = self.buffer[:end].split(b" ", 2)[1].rpartition(b".")[2]
            body, self.buffer = self.buffer[end + 4:end + 4 + size], self.buffer[end + 4 + size:]
            self.call(method, body)

    def call(self, method, body):
        if method == b"Activate":
            self.transport.write(message(MANIFEST))
        elif method == b"Say":
            self.transport.write(message(bytes(int(body.rstrip(b" ")))))
        elif method == b"Fail":
            self.transport.write(message(b'{"Err":"no"}', b"500 No"))
        elif method == b"Break":
            self.transport.write(message(bytes(1000))[:500])
            self.transport.close()
        elif method == b"HangUp":
            self.transport.close()
        elif self.plugin.count(body):
            self.transport.write(message(b"{}"))


class Plugin:
    """`answers`: how many calls of Count are answered; `begins`: after how many no connection is accepted any more."""

    def __init__(self, url, record, answers, begins):
        self.record = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.answers, self.begins, self.counted = answers, begins, 0
        scheme, _, rest = url.partition("://")
        self.listener = socket.socket(socket.AF_UNIX if scheme == "unix" else socket.AF_INET)
        if scheme == "unix":
            if os.path.exists(rest):
                os.unlink(rest)
            self.listener.bind(rest)
        else:
            host, _, port = rest.rpartition(":")
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind((host, int(port)))
        self.listener.listen(BACKLOG)
        self.listener.setblocking(False)
        self.tasks = set()

    def count(self, name):
        """Records the call; whether it is to be answered."""
        os.write(self.record, name + b"\n")
        self.counted += 1
        if self.counted == self.begins:
            asyncio.get_running_loop().remove_reader(self.listener)
        return self.counted <= self.answers

    def accept(self):
        loop = asyncio.get_running_loop()
        try:
            connection, _ = self.listener.accept()
        except BlockingIOError:
            return
        task = loop.create_task(loop.connect_accepted_socket(lambda: Connection(self), connection))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def run(self):
        asyncio.get_running_loop().add_reader(self.listener, self.accept)
        print("listening", flush=True)
        await asyncio.Event().wait()


class BusyPlugin:
    """The program as an object. start() again after kill() is its next life, with the same record."""

    def __init__(self, directory, url, **options):
        self.url = url
        self.record = directory / "busy.record"
        self._log = directory / "busy.log"
        self._lives = 0
        self.start(**options)

    def start(self, answers=sys.maxsize, begins=sys.maxsize):
        from .process import Process  # the program is run without its package
        from .waiting import wait_until
        self._lives += 1
        self.process = Process([sys.executable, __file__, self.url, self.record, answers, begins], self._log)
        wait_until(lambda: self.process.output().count("listening") == self._lives or not self.process.running, "listening plugin", 15)
        assert self.process.running, self.process.output()

    def recorded(self):
        """The IDs of all calls of Count that have arrived, in order."""
        return self.record.read_text(encoding="ascii").split() if self.record.exists() else []

    def kill(self):
        self.process.kill()

    def close(self):
        if self.process.running:
            self.process.kill()


if __name__ == "__main__":
    asyncio.run(Plugin(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])).run())
