"""Hostile archives and layouts through the daemon: refused or confined, in bounded memory, and nothing is left of them."""

import contextlib
import hashlib
import json
import os
import pathlib
import socket
import subprocess
import threading

import pytest
from archives.corpus import CASES, EITHER, REFUSED
from archives.outside import kind_of, make_canary, state_of, with_outside
from archives.tar_bytes import device, directory as folder, entry, fifo, hardlink, header, octal, pax, symlink, tar
from harness import unix_http
from harness.build import SANITIZERS
from harness.managed import assert_verified, blobs, install, leftovers, rootfs, succeed
from harness.plugin_images import CONFIG, make_plugin
from harness.served_image import ServedImage
from harness.waiting import wait_until
from lying_registry import LyingRegistry

SAMPLE = [
    "file 0: ../evil", "symlink 2: a/../../evil", "hard link target 1: ../../evil", "pax path 7: /../evil",
    "GNU long name 0: ../evil", "whiteout 3: ./../evil", "absolute file @OUT@/evil", "file through a link to @OUT@",
    "file through a link to /proc/1/root", "hard link through a link to @OUT@", "whiteout through a link to @OUT@",
    "opaque through a link to @OUT@", "two links that leave together", "links in a circle",
    "link and directory change places", "directory after link, cached parent (745)", "hard link with data outside (746)",
    "path beyond PATH_MAX through a link (744)", "device with a huge number", "devices", "owner 4294967295", "too long a name",
    "GNU name of 2 MiB", "truncated at 700", "wrong checksum later", "size of 20 GiB without content", "gzip with a wrong CRC", "gzip with garbage behind", "zstd with a window of 2 GiB",
    "sparse name upwards", "sparse file of 20 GiB",
]
CONFIG_BYTES = json.dumps(CONFIG).encode()
PARTS = ["brokerd.json", "config.json", "plugin-settings.json", "rootfs"]  # of an installed plugin


@pytest.fixture
def started(broker, directory):
    make_canary(directory / "a-canary")
    make_canary(directory / "z-canary")
    (directory / "state").mkdir()
    make_canary(directory / "state" / "canary")
    return broker().start()


@pytest.fixture
def nothing_changes(started, directory):
    """After the test, what is outside is as it was, and no operation has left anything half done."""
    places = [directory / "a-canary", directory / "z-canary", directory / "state" / "canary"]
    before = [state_of(place) for place in places]
    names = set(os.listdir(directory))
    yield
    assert [state_of(place) for place in places] == before
    assert set(os.listdir(directory)) - names <= {"given"} and started.process.running
    assert sorted(os.listdir(started.state)) == ["blobs", "canary", "plugins"]
    assert_verified(started)


def one_sentence(refused):
    assert refused.returncode == 1, refused
    assert len(refused.stderr.splitlines()) == 1 and len(refused.stderr) < 1500 and refused.stderr.strip().isprintable(), refused
    assert not any(word in refused.stderr for word in ("signal", "core", "exit status")), refused


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("name", SAMPLE)
def test_layers(started, directory, closing, name):
    layers, verdict = CASES[name]
    served = []
    for layer in layers:
        _coding, data = layer if isinstance(layer, tuple) else ("none", layer)
        data = data() if callable(data) else data
        served.append(with_outside(data, str(directory / "a-canary").encode()) if not isinstance(layer, tuple) else data)
    image = ServedImage(closing.add(LyingRegistry()), "acme/p", served)
    done = install(started, image.name)
    if verdict == REFUSED:
        one_sentence(done)
    elif verdict != EITHER:
        succeed(done)
        for path, expected in verdict.items():
            assert kind_of(rootfs(started, image.name) / path) == expected, path
    if done.returncode == 0:
        assert sorted(os.listdir(rootfs(started, image.name).parent)) == PARTS
        succeed(started.pluginctl("rm", image.name))
    assert started.plugins() == {} and leftovers(started) == []
    started.pluginctl("prune", "-f")
    assert blobs(started) == set()


def plugin(*entries, config=CONFIG_BYTES):
    return tar(entry("config.json", config), folder("rootfs"), *entries)


def sparse(name, size):
    block = bytearray(header(name, b"S", 512, magic=b"ustar  \0"))
    block[386:410] = octal(size - 512, 12) + octal(512, 12)
    block[482] = 0
    block[483:495] = octal(size, 12)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + b"x" * 512


CREATED = {
    "upwards": plugin(entry("rootfs/../../evil", b"x")), "upwards to the config": plugin(entry("rootfs/../config.json", b"x")),
    "beside": plugin(entry("evil", b"x")), "absolute": plugin(entry("/etc/evil", b"x")),
    "by a link": plugin(symlink("rootfs/l", "@OUT@"), entry("rootfs/l/evil", b"x")),
    "hard link out": plugin(hardlink("rootfs/h", "@OUT@/secret")), "hard link to the config": plugin(hardlink("rootfs/h", "config.json")),
    "config is a link": tar(symlink("config.json", "@OUT@/secret"), folder("rootfs")),
    "config is a FIFO": tar(fifo("config.json"), folder("rootfs")),
    "config twice": plugin(entry("./config.json", CONFIG_BYTES)), "no config": tar(folder("rootfs"), entry("rootfs/f", b"x")),
    "no rootfs": tar(entry("config.json", CONFIG_BYTES)), "rootfs is a link": tar(entry("config.json", CONFIG_BYTES), symlink("rootfs", "@OUT@")),
    "rootfs is a file": tar(entry("config.json", CONFIG_BYTES), entry("rootfs", b"x")),
    "config of 100 MB": plugin(config=b" " * 100_000_000 + CONFIG_BYTES), "config that claims 1 TB": tar(header(b"config.json", size=1 << 40)),
    "config that is no JSON": plugin(config=b"\0" * 1000), "deep config": plugin(config=b"[" * 500_000),
    "truncated": plugin(entry("rootfs/f", b"x" * 5000))[:-3000], "no tar": b"nonsense" * 1000, "nothing": b"",
    "sparse 1 TB": plugin(sparse(b"rootfs/s", 1 << 40)), "pax path": plugin(pax({"path": "rootfs/../../evil"}), entry("rootfs/x", b"x")),
    "wild device": plugin(device("rootfs/d", 0o7777777, 0o7777777)), "names that end lines": plugin(entry("rootfs/../\n\x1b[31m", b"x")),
}
MAY_BE = {"beside", "absolute", "by a link"}  # confined, or refused


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("name", CREATED)
def test_create(started, directory, name):
    body = with_outside(CREATED[name], str(directory / "a-canary").encode())
    reply = unix_http.request(started.control, "POST", "/plugins/create?name=acme/made", body, timeout=60)
    if reply.status == 204 and name in MAY_BE:
        assert sorted(os.listdir(rootfs(started, "acme/made").parent)) == PARTS
        succeed(started.pluginctl("rm", "acme/made"))
    else:
        assert reply.status == 400 and 0 < len(reply.error) < 1500 and reply.error.isprintable(), reply
    assert started.plugins() == {} and blobs(started) == set()


def peak(pid):
    """Kilobytes; 0 once it has gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM")), 0)


class PeakOfWorkers:
    """The most memory that any child of the daemon was seen to have."""

    def __init__(self, broker):
        self.kilobytes = self.workers = 0
        self._pid, self._over = broker.process.pid, threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._seen = set()
        self._thread.start()

    def _children(self):
        for task in pathlib.Path(f"/proc/{self._pid}/task").iterdir():
            try:
                yield from (task / "children").read_text().split()
            except (FileNotFoundError, ProcessLookupError):
                pass

    def _look(self):
        while not self._over.wait(0.005):
            for child in self._children():
                self._seen.add(child)
                self.kilobytes = max(self.kilobytes, peak(child))

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._over.set()
        self._thread.join()
        self.workers = len(self._seen)


def noise():
    """A plugin's tar with one file that nothing makes smaller, four times what memory may grow, in pieces."""
    yield tar(entry("config.json", CONFIG_BYTES), folder("rootfs"))[:-1024] + header(b"rootfs/large", size=128 << 20)
    piece = os.urandom(1 << 20)
    for _ in range(128):
        yield piece
    yield bytes(1024)


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("what", ["a config of 100 MB", "128 MiB of noise", "a hole of 256 MiB", "a layer of 100 000 entries"])
def test_memory_is_bounded(started, closing, what):
    succeed(started.pluginctl("ls"))
    before = peak(started.process.pid)
    with PeakOfWorkers(started) as workers:
        if what == "a layer of 100 000 entries":
            image = ServedImage(closing.add(LyingRegistry()), "acme/p", CASES["100 000 entries"][0])
            succeed(install(started, image.name))
        else:
            body = {"a config of 100 MB": CREATED["config of 100 MB"], "128 MiB of noise": noise(),
                    "a hole of 256 MiB": plugin(sparse(b"rootfs/s", 256 << 20))}[what]
            connection = unix_http.Connection(started.control, timeout=300)
            with contextlib.suppress(BrokenPipeError):  # where it is refused before all is sent
                connection.request("POST", "/plugins/create?name=acme/large", body)  # in chunks, where its length is not known
            reply = connection.getresponse()
            assert reply.status == (204 if what == "128 MiB of noise" else 400), reply.read()
            connection.close()
    assert workers.workers > 0
    assert SANITIZERS or peak(started.process.pid) - before <= 32 << 10 and workers.kilobytes <= 64 << 10, (before, workers.kilobytes)
    for name in started.plugins():
        succeed(started.pluginctl("rm", name))
    assert blobs(started) == set()


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("path", ["/plugins/create?name=acme/cut", "/broker/v1/plugins/load"])
@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("end", ["half closed", "closed"])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_body_that_is_cut_off(started, directory, path, framing, end, share):
    """Also one that looks whole: the archive's own end has come, and more was announced."""
    whole = plugin(entry("rootfs/f", os.urandom(200_000)))
    if "load" in path:
        succeed(started.pluginctl("create", "acme/cut", make_plugin(directory / "given", size=100_000)))
        whole = subprocess.run(started.pluginctl_command("save", "acme/cut"), capture_output=True, check=True).stdout
        succeed(started.pluginctl("rm", "acme/cut"))
    sent = whole[:int(len(whole) * share)]
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(started.control))
        head = f"Content-Length: {len(whole) + 512}" if framing == "length" else "Transfer-Encoding: chunked"
        client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode())
        client.sendall(sent if framing == "length" else b"%x\r\n%s\r\n" % (len(sent), sent))
        if end == "half closed":
            client.shutdown(socket.SHUT_WR)
            reply = b"".join(iter(lambda: client.recv(65536), b""))
            assert not reply.startswith(b"HTTP/1.1 204") and b'"Digest"' not in reply, reply
    wait_until(lambda: leftovers(started) == [], "end of the job")
    assert started.plugins() == {}
    body = plugin(entry("rootfs/f", b"x"))

    def made():
        reply = unix_http.request(started.control, "POST", "/plugins/create?name=acme/cut", body, timeout=30)
        assert reply.status == 204 or "another operation" in reply.error, reply
        return reply.status == 204
    wait_until(made, "free name")
    assert (rootfs(started, "acme/cut") / "f").read_bytes() == b"x"
    succeed(started.pluginctl("rm", "acme/cut"))
    assert hashlib.sha256(whole).hexdigest() not in blobs(started)
