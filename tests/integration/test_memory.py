"""Memory has a bound whatever comes: the peak of brokerd (VmHWM) before and after bodies, archives and heads that are too large for it.

BROKERD_LARGE_MIB is how large; 1024 in a long run, whose sparse file then has 4 GiB. Ordinarily 32."""

import json
import os
import pathlib
import socket
import ssl
import tarfile

import pytest
from harness import unix_http
from harness.build import SANITIZERS
from harness.managed import leftovers, succeed
from harness.plugin_images import CONFIG
from harness.raw_plugin import RawPlugin

LARGE = int(os.environ.get("BROKERD_LARGE_MIB", "32")) << 20
PIECE = bytes(1 << 20)
#: How much the peak may grow, in KiB: for a body, and for anything.
BODY, ANYTHING = 1 << 10, 32 << 10
HEADER = 3 << 20


def peak(broker):
    """KiB that the process has had at most since forget_peak(). 0 with sanitizers, as Brokerd.memory()."""
    if SANITIZERS:
        return 0
    status = pathlib.Path(f"/proc/{broker.process.pid}/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def forget_peak(broker):
    """proc(5), clear_refs: the peak is what there is now, which is returned."""
    pathlib.Path(f"/proc/{broker.process.pid}/clear_refs").write_text("5", encoding="ascii")
    return peak(broker)


def tell(what, before, after):
    print(f"{what}: peak {before} KiB before, {after} KiB after: {after - before:+} KiB")
    return after - before


# -- bodies -----------------------------------------------------------------------------------------------------------


def both_ways(connection, size):
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


class Bodies(RawPlugin):
    """A plugin on this transport; the second call has the large bodies, the first one small ones of the same kind."""

    def __init__(self, directory, transport, certificates):
        tls = None
        if transport == "tls":
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        sizes = [len(PIECE), LARGE]
        super().__init__(directory / "raw.sock" if transport == "unix" else None,
                         lambda connection, number: both_ways(connection, sizes[number - 1]), tls=tls, impatient=True)
        if transport == "tcp":
            self.url = self.url.replace("https:", "tcp:")

    def define(self, broker, certificates):
        if self.tls:
            broker.define_json("raw", self.url, {"CAFile": certificates / "ca.pem"})
        else:
            broker.define("raw", self.url)


def exchange(path, size):
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


@pytest.mark.parametrize("transport", ["unix", "tcp", "tls"])
def test_a_body_each_way_takes_no_memory(broker, directory, closing, certificates, transport):
    plugin = closing.add(Bodies(directory, transport, certificates))
    broker = broker()
    plugin.define(broker, certificates)
    broker.start()
    broker.wait_state("raw", "active")
    exchange(broker.published("raw"), len(PIECE))  # buffers are there
    before = forget_peak(broker)
    exchange(broker.published("raw"), LARGE)
    assert tell(f"{LARGE >> 20} MiB each way, {transport}", before, peak(broker)) <= BODY


# -- archives ---------------------------------------------------------------------------------------------------------


def tar_with(entry, content=None, form=tarfile.GNU_FORMAT):
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
    return tar_with(entry, b"x")


def large_file():
    entry = tarfile.TarInfo("rootfs/large")
    entry.size = LARGE
    return tar_with(entry)


def sparse_file():
    """A file of four times that size which is all hole, as GNU tar writes it (PAX, version 1.0): a map, and no data."""
    size = 4 * LARGE
    content = f"1\n{size}\n0\n".encode().ljust(tarfile.BLOCKSIZE, b"\0")
    entry = tarfile.TarInfo("rootfs/sparse")
    entry.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "rootfs/sparse", "GNU.sparse.realsize": str(size)}
    entry.size = len(content)
    return tar_with(entry, content, tarfile.PAX_FORMAT)


@pytest.mark.long  # test_managed_hostile.py has smaller ones, and looks at the worker
def test_an_archive_takes_no_memory(broker):
    """Of brokerd; the worker that unpacks it has a limit of its own (daemon/archive/limits.h), which holds as well."""
    broker = broker().start()
    assert create(broker, "acme/small", small_file())[0] == 204
    before = forget_peak(broker)
    assert create(broker, "acme/large", large_file())[0] == 204
    assert tell(f"archive of {LARGE >> 20} MiB", before, peak(broker)) <= ANYTHING
    rootfs = broker.state / "plugins" / broker.get("/plugins/acme/large/json").json()["Id"] / "rootfs"
    assert (rootfs / "large").stat().st_size == LARGE
    status, body = create(broker, "acme/sparse", sparse_file())
    assert status == 400 and b"1000 times its size" in body, (status, body)
    assert tell(f"sparse file of {4 * LARGE >> 20} MiB, refused", before, peak(broker)) <= ANYTHING
    succeed(broker.pluginctl("rm", "acme/large"))
    assert leftovers(broker) == []


def create(broker, name, tar):
    """Has the plugin made of this tar; returns status and body of the answer."""
    connection = unix_http.Connection(broker.control, timeout=600)
    connection.request("POST", f"/plugins/create?name={name}", tar,
                       {"Content-Type": "application/x-tar", "Transfer-Encoding": "chunked"}, encode_chunked=True)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


# -- heads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("socket_of", ["published", "control"])
def test_a_head_of_megabytes_is_refused_and_takes_no_memory(broker, mobyfs, socket_of):
    plugin = mobyfs()
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    path = broker.control if socket_of == "control" else broker.published("mobyfs")
    before = forget_peak(broker)
    for _ in range(10):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(str(path))
            try:
                client.sendall(b"POST /VolumeDriver.List HTTP/1.1\r\nHost: x\r\nX-Large: " + b"x" * HEADER)
            except OSError:
                pass  # refused before all of it is sent
            received = b"".join(iter(lambda: client.recv(65536), b""))
            assert received.startswith(b"HTTP/1.1 431 "), received[:200]
    assert tell(f"10 heads of 3 MiB, {socket_of} socket", before, peak(broker)) <= BODY


def test_an_answer_with_a_head_of_megabytes_is_refused_and_takes_no_memory(broker, directory, closing):
    plugin = closing.add(RawPlugin(directory / "raw.sock", lambda connection, _number: connection.sendall(
        b"HTTP/1.1 200 OK\r\nX-Large: " + b"x" * HEADER + b"\r\nContent-Length: 0\r\n\r\n")))
    broker = broker()
    broker.define("raw", plugin.url)
    broker.start()
    broker.wait_state("raw", "active")
    before = forget_peak(broker)
    for _ in range(10):
        reply = broker.call("raw", "VolumeDriver.List", timeout=60)
        assert reply.status == 502 and "raw" in reply.error
    assert tell("10 answers with heads of 3 MiB", before, peak(broker)) <= BODY
    assert broker.plugin("raw")["State"] == "active"
