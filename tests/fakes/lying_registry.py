"""A registry for tests that does what it is told: answers by path, as raw as a test wants them, and keeps what it was asked.

    registry = LyingRegistry()
    registry.answers["/v2/a/b/blobs/sha256:…"] = [cut(blob, 1000), content(blob)]   # the first request, all others
"""

import base64
import hashlib
import json
import socket
import ssl
import threading

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def encoded(**credentials):
    """The header X-Registry-Auth."""
    return base64.urlsafe_b64encode(json.dumps(credentials).encode()).decode()


class Request:
    def __init__(self, method, target, fields, body):
        self.method, self.target, self.fields, self.body = method, target, fields, body
        self.path = target.split("?")[0]

    def field(self, name):
        return next((value for key, value in self.fields if key.lower() == name.lower()), None)


class LyingRegistry:
    """Listens on 127.0.0.1; `certificate` (PEM with its key) makes it speak TLS. Each connection has a thread."""

    def __init__(self, certificate=None, client_authority=None, address="127.0.0.1", port=0):
        self.answers = {}  # path, or (method, path): one answer or a list of them, of which the last one stays
        self.requests = []
        self._lock = threading.Lock()
        self._context = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
            if client_authority:
                self._context.verify_mode = ssl.CERT_REQUIRED
                self._context.load_verify_locations(client_authority)
        self._listener = socket.create_server((address, port), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.host = f"{address}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        if self._listener.fileno() >= 0:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def to(self, path):
        """The requests for a path."""
        with self._lock:
            return [request for request in self.requests if request.path == path]

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as stream:
                while request := self._read(stream):
                    if self._answer(request, connection) is False:
                        return
        except OSError:
            pass

    def _read(self, stream):
        line = stream.readline(65537)
        if not line.endswith(b"\r\n"):
            return None
        method, target, _version = line.decode("latin-1").split()
        fields = []
        while (line := stream.readline(65537)) not in (b"\r\n", b""):
            name, value = line.decode("latin-1").split(":", 1)
            fields.append((name, value.strip()))
        length = next((int(value) for name, value in fields if name.lower() == "content-length"), 0)
        return Request(method, target, fields, stream.read(length))

    def _answer(self, request, connection):
        with self._lock:
            self.requests.append(request)
            answer = self.answers.get((request.method, request.path), self.answers.get(request.path))
            if isinstance(answer, list):
                answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if answer is None:
            answer = problem(404, "NAME_UNKNOWN", "repository name not known to registry")
        return answer(request, connection)


def head(status, fields):
    return "".join([f"HTTP/1.1 {status} Word\r\n", *(f"{name}: {value}\r\n" for name, value in fields.items()),
                    "\r\n"]).encode("latin-1")


def whole(status, body=b"", **fields):
    """An answer that is what it seems. In names of fields, _ stands for -."""
    fields = {name.replace("_", "-"): value for name, value in fields.items()}

    def answer(request, connection):
        length = {} if "Content-Length" in fields else {"Content-Length": len(body)}
        connection.sendall(head(status, {**fields, **length}) + (b"" if request.method == "HEAD" else body))
    return answer


def problem(status, code, message, **fields):
    body = json.dumps({"errors": [{"code": code, "message": message, "detail": None}]}).encode()
    return whole(status, body, Content_Type="application/json", **fields)


def content(blob, **fields):
    """A blob, with ranges."""
    def answer(request, connection):
        wanted = request.field("Range")
        if not wanted:
            return whole(200, blob, **fields)(request, connection)
        first = int(wanted.removeprefix("bytes=").removesuffix("-"))
        return whole(206, blob[first:], Content_Range=f"bytes {first}-{len(blob) - 1}/{len(blob)}", **fields)(
            request, connection)
    return answer


def raw(data, close=True):
    """These bytes, whatever they are."""
    def answer(_request, connection):
        connection.sendall(data)
        return not close
    return answer


def cut(blob, count):
    """The first bytes of what the request asks for, under the length of all of it; then the end."""
    def answer(request, connection):
        wanted = request.field("Range")
        first = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        fields = {"Content-Length": len(blob) - first}
        if wanted:
            fields["Content-Range"] = f"bytes {first}-{len(blob) - 1}/{len(blob)}"
        connection.sendall(head(206 if wanted else 200, fields) + blob[first:first + count])
        return False
    return answer


def stall(blob, count):
    """As cut(), but the connection stays open and silent until the other side ends it."""
    def answer(_request, connection):
        connection.sendall(head(200, {"Content-Length": len(blob)}) + blob[:count])
        connection.recv(1)
        return False
    return answer


def endless(_request, connection):
    """A body without end, in chunks."""
    connection.sendall(head(200, {"Transfer-Encoding": "chunked"}))
    while True:
        connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")


def redirect(url, status=307):
    return whole(status, Location=url)
