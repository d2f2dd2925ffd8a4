"""A plugin that says exactly what a test tells it to, byte by byte, and may be as rude as it likes."""

import socket
import threading

MANIFEST = b'{"Implements":["VolumeDriver"]}'


def answer(body=b"{}", status="200 OK"):
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


class RawPlugin:
    """Answers handshakes with `manifest` (on a connection that stays open); all else is up to `handle(connection, number)`,
    called with the connection when the number-th call has been read (its head only, with `impatient`). It returns whether
    to read on."""

    def __init__(self, path, handle, *, manifest=MANIFEST, tls=None, impatient=False):
        family = socket.AF_UNIX if path else socket.AF_INET
        self.listener = socket.socket(family)
        self.listener.bind(str(path) if path else ("127.0.0.1", 0))
        self.listener.listen(64)
        self.url = f"unix://{path}" if path else f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        self.handle, self.manifest, self.tls, self.impatient = handle, manifest, tls, impatient
        self.number = 0
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
                if self.tls:  # each sendall() is on the wire when it returns
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            while head := self._head(connection):
                if head.startswith(b"POST /Plugin.Activate"):
                    connection.sendall(answer(self.manifest))
                    continue
                if not self.impatient:
                    self._body(connection, head)
                with self.lock:
                    self.number += 1
                    number = self.number
                if not self.handle(connection, number):
                    break
        except OSError:
            pass
        finally:
            connection.close()

    @staticmethod
    def _head(connection):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = connection.recv(1)
            if not byte:
                return b""
            head += byte
        return head

    @staticmethod
    def _body(connection, head):
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            left = int(value) if name.lower() == b"content-length" else 0
            while left > 0:
                left -= len(connection.recv(left)) or left

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
