"""An HTTP proxy."""

import socket
import threading


class Proxy:
    """Forwards CONNECT tunnels and absolute-form requests to one address, and notes their heads."""

    def __init__(self, to, answer=b"HTTP/1.1 200 Connection established\r\n\r\n"):
        self.heads, self._to, self._answer = [], to, answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        if self._listener.fileno() >= 0:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        self.heads.append(head.decode())
        host, port = self._to.split(":")
        with connection, socket.create_connection((host, int(port))) as other:
            if head.startswith(b"CONNECT"):
                connection.sendall(self._answer)
            else:
                method, _target, rest = head.split(b" ", 2)
                other.sendall(method + b" " + _target.split(b"/", 3)[3].join([b"/", b""]) + b" " + rest)
            back = threading.Thread(target=self._copy, args=(other, connection), daemon=True)
            back.start()
            self._copy(connection, other)
            back.join()

    @staticmethod
    def _copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass
