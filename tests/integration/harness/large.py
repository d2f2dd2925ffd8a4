"""What is too large to be kept in memory: bodies, archives and heads.

BROKERD_LARGE_MIB is how large; 1024 in a long run, whose sparse file then has 4 GiB. Ordinarily 32."""

import json
import os
import socket
import ssl
import tarfile

from . import unix_http
from .plugin_images import CONFIG
from .raw_plugin import RawPlugin

LARGE = int(os.environ.get("BROKERD_LARGE_MIB", "32")) << 20
PIECE = bytes(1 << 20)
HEADER = 3 << 20


def _both_ways(connection, size):
    """A plugin that takes a body of `size` bytes, and then answers with as many."""
    taken = 0
    while taken < size:
        piece = connection.recv(1 << 20)
        assert piece, "the body was cut off"
        taken += len(piece)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    for _ in range(size // len(PIECE)):
        connection.sendall(PIECE)
    return True


class LargeBodies(RawPlugin):
    """A plugin on this transport; the second call has the large bodies, the first one small ones of the same kind."""

    def __init__(self, directory, transport="unix", certificates=None):
        tls = None
        if transport == "tls":
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        sizes = [len(PIECE), LARGE]
        super().__init__(directory / "raw.sock" if transport == "unix" else None,
                         lambda connection, number: _both_ways(connection, sizes[number - 1]), tls=tls, impatient=True)
        if transport == "tcp":
            self.url = self.url.replace("https:", "tcp:")

    def define(self, broker, certificates):
        if self.tls:
            broker.define_json("raw", self.url, {"CAFile": certificates / "ca.pem"})
        else:
            broker.define("raw", self.url)


def exchange(path, size=LARGE):
    """Sends so much, and reads the answer."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(120)
        client.connect(str(path))
        client.sendall(b"POST /VolumeDriver.Create HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % size)
        for _ in range(size // len(PIECE)):
            client.sendall(PIECE)
        received = 0
        while piece := client.recv(1 << 20):
            received += len(piece)
        assert size < received < size + 1000, received


def _tar_with(entry, content=None, form=tarfile.GNU_FORMAT):
    """A plugin's tar, piece by piece: config.json and a rootfs with this file, of noise where there is no content."""
    config = json.dumps(CONFIG).encode()
    head, root = tarfile.TarInfo("config.json"), tarfile.TarInfo("rootfs")
    head.size, root.type, root.mode = len(config), tarfile.DIRTYPE, 0o755
    yield head.tobuf() + config + bytes(-len(config) % tarfile.BLOCKSIZE) + root.tobuf() + entry.tobuf(form)
    if content is not None:
        yield content + bytes(-len(content) % tarfile.BLOCKSIZE)
    else:
        noise = os.urandom(len(PIECE))  # further apart than a compressor looks back
        yield from (noise for _ in range(entry.size // len(noise)))
    yield bytes(2 * tarfile.BLOCKSIZE)


def small_file():
    entry = tarfile.TarInfo("rootfs/small")
    entry.size = 1
    return _tar_with(entry, b"x")


def large_file():
    entry = tarfile.TarInfo("rootfs/large")
    entry.size = LARGE
    return _tar_with(entry)


def sparse_file():
    """A file of four times that size which is all hole, as GNU tar writes it (PAX, version 1.0): a map, and no data."""
    size = 4 * LARGE
    content = f"1\n{size}\n0\n".encode().ljust(tarfile.BLOCKSIZE, b"\0")
    entry = tarfile.TarInfo("rootfs/sparse")
    entry.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "rootfs/sparse", "GNU.sparse.realsize": str(size)}
    entry.size = len(content)
    return _tar_with(entry, content, tarfile.PAX_FORMAT)


def create(control, name, tar):
    """Has the plugin made of this tar; returns status and body of the answer."""
    connection = unix_http.Connection(control, timeout=600)
    connection.request("POST", f"/plugins/create?name={name}", tar,
                       {"Content-Type": "application/x-tar", "Transfer-Encoding": "chunked"}, encode_chunked=True)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


def refused_head(path):
    """What a socket answers to the head of a request that is too large for it; status and all."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(str(path))
        try:
            client.sendall(b"POST /VolumeDriver.List HTTP/1.1\r\nHost: x\r\nX-Large: " + b"x" * HEADER)
        except OSError:
            pass  # refused before all of it is sent
        return b"".join(iter(lambda: client.recv(65536), b""))


def large_headed(path):
    """A plugin whose answers have such heads."""
    return RawPlugin(path, lambda connection, _number: connection.sendall(
        b"HTTP/1.1 200 OK\r\nX-Large: " + b"x" * HEADER + b"\r\nContent-Length: 0\r\n\r\n"))
