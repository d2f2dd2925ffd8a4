"""HTTP/1.1 over a Unix socket."""

import http.client
import json
import socket
import urllib.parse

from .build import PATIENCE

ACCEPT = "application/vnd.docker.plugins.v1.2+json"


class Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout=10):
        super().__init__("localhost", timeout=None if timeout is None else PATIENCE * timeout)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Reply:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """What a broker error says: {"Err": …} on published sockets, {"message": …} on the control socket."""
        value = self.json()
        return value.get("Err") or value.get("message") or ""

    def __repr__(self):
        return f"<{self.status} {self.body[:500]!r}>"


def _answer(connection, *request):
    try:
        connection.request(*request)
    except BrokenPipeError:  # refused before all of it was sent; the answer says why, where one was given
        try:
            return connection.getresponse()
        except (OSError, http.client.HTTPException):
            pass
        raise
    return connection.getresponse()


def send(connection, method, target, body=None, headers=None):
    """One request on an open connection. A body that is not bytes is sent as JSON."""
    if body is not None and not isinstance(body, (bytes, bytearray)):
        body = json.dumps(body).encode()
    response = _answer(connection, method, target, body, headers or {})
    return Reply(response.status, response.headers, response.read())


def request(path, method, target, body=None, headers=None, timeout=10):
    connection = Connection(path, timeout)
    try:
        return send(connection, method, target, body, headers)
    finally:
        connection.close()


def call(path, method, body=None, timeout=10):
    """One plugin call, as an engine makes it."""
    return request(path, "POST", "/" + method, {} if body is None else body, {"Accept": ACCEPT}, timeout)


def quote(name):
    return urllib.parse.quote(name, safe="/:@+")


def listening(path):
    """Whether somebody accepts connections there."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(5)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
