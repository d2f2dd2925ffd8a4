"""What lies around brokerd and is wrong or hostile: definitions that go in circles, files that are no files, directories of others,
descriptors that nobody asked for, and plugins that make work in the directory that they share with brokerd."""

import array
import contextlib
import fcntl
import os
import pathlib
import signal
import socket
import stat
import subprocess
import sys
import termios

import pytest
from harness import unix_http
from harness.build import PATIENCE
from harness.managed import succeed
from harness.plugin_images import make_plugin
from harness.remains import Remains
from harness.running import enable_sample
from harness.waiting import wait_until

GOOD = "unix:///nonexistent/plugin.sock"
NOBODY = 65534

# What a plugin does to the directory of its socket, until it is ended: much to tell for the kernel, nothing of use.
_SPAM = """\
import os, sys
os.chdir(sys.argv[1])
print(flush=True)
while True:
    for number in range(100):
        os.close(os.open(f"x{number}", os.O_CREAT | os.O_WRONLY))
        os.rename(f"x{number}", "sample.sock.new")
        os.unlink("sample.sock.new")
"""


def test_calls_that_go_in_a_circle_end(broker, mobyfs):
    """Two definitions that lead to each other's published sockets, which each of them looks fine by itself: the handshake is answered
    by the other's manifest. A call must not go round until there are no descriptors left."""
    plugin = mobyfs()
    broker = broker()
    broker.define("first", plugin.url)
    broker.start()
    broker.wait_state("first", "active")
    broker.define("second", f"unix://{broker.published('first')}")
    broker.wait_state("second", "active")
    assert broker.call("second", "VolumeDriver.List").status == 200  # one more station is no circle
    broker.define("first", f"unix://{broker.published('second')}")
    wait_until(lambda: broker.plugin("first")["Endpoint"].endswith("/second.sock"), "the circle")
    broker.wait_state("first", "active")
    before = broker.descriptors()
    for method in ("VolumeDriver.List", "VolumeDriver.Create"):
        reply = broker.call("second", method, {"Name": "x"})
        assert reply.status == 502 and "circle" in reply.error, reply
    wait_until(lambda: broker.descriptors() <= before + 32, lambda: f"{broker.descriptors()} descriptors to go, {before} before")
    assert broker.get("/_ping").status == 200


def test_the_control_socket_is_no_plugin(broker):
    """brokerd has every right there, and would use it for whoever calls the plugin."""
    broker = broker(timeout=1)
    broker.define("control", f"unix://{broker.control}")
    broker.start()
    failed = broker.wait_state("control", "failed")
    assert "404" in failed["Reason"], failed
    for method in ("plugins/prune", "broker/v1/plugins", "VolumeDriver.List"):
        assert broker.call("control", method).status in (404, 503), method


@pytest.mark.parametrize("kind", ["fifo", "zero", "giant", "directory", "socket"])
def test_a_certificate_file_that_is_no_file_holds_nobody(broker, mobyfs, certificates, directory, kind):
    """Of as many plugins as there are workers and more; another plugin, which needs a worker too, is served meanwhile."""
    place = directory / "certificate"
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "zero":
        place.symlink_to("/dev/zero")
    elif kind == "giant":
        with open(place, "wb") as file:
            file.truncate(1 << 40)
    elif kind == "directory":
        place.mkdir()
    else:
        socket.socket(socket.AF_UNIX).bind(str(place))
    broker = broker()
    members = ("CAFile", "CertFile", "KeyFile")
    for number in range(24):
        tls = {"CAFile": certificates / "ca.pem", "CertFile": certificates / "client.pem", "KeyFile": certificates / "client.key"}
        tls[members[number % 3]] = place
        broker.define_json(f"odd{number}", "tcp://localhost:1", tls)
    broker.start()
    plugin = mobyfs()
    port = plugin.url.rpartition(":")[2]
    for number in range(24):
        failed = broker.wait_state(f"odd{number}", "failed")
        assert members[number % 3] in failed["Reason"] and str(place) in failed["Reason"], failed
    broker.define("good", f"tcp://localhost:{port}")
    broker.wait_state("good", "active")
    broker.stop()


def fresh(path, owner=0, mode=0o755):
    path.mkdir(parents=True)
    os.chown(path, owner, 0)
    os.chmod(path, mode)
    return path


@pytest.mark.parametrize("kind", ["owner", "mode"])
def test_a_definition_in_a_directory_of_others_is_refused(broker, directory, kind):
    """Whoever can rename there has any file of root's taken for a definition, or any socket of root's for a plugin."""
    broker = broker(activation="lazy")
    options = {"owner": NOBODY} if kind == "owner" else {"mode": 0o777}
    inside = fresh(broker.specs[0] / "inside", **options)
    (inside / "inside.spec").write_text(GOOD)
    outside = fresh(directory / "outside", **options)
    (outside / "target").write_text(GOOD)
    (broker.specs[0] / "linked.spec").symlink_to(outside / "target")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(outside / "socket"))
    (broker.engine_sockets / "socket.sock").symlink_to(outside / "socket")
    broker.define("good", GOOD)
    broker.start()
    for name, place in (("inside", inside), ("linked", outside), ("socket", outside)):
        plugin = broker.plugin(name)
        assert plugin["State"] == "invalid" and str(place) in plugin["Reason"], plugin
        finding, = broker.findings(name)
        assert finding["Problem"] == "unsafe-owner" and str(place) in finding["Remedy"], finding
    assert broker.plugin("good")["State"] == "discovered"
    os.chown(inside, 0, 0)
    os.chmod(inside, 0o755)
    broker.wait_state("inside", "discovered")
    # The whole directory, too, and without a reload.
    os.chown(broker.specs[0], NOBODY, 0)
    broker.wait_state("good", "invalid")
    os.chown(broker.specs[0], 0, 0)
    broker.wait_state("good", "discovered")
    listener.close()


def test_a_configuration_that_others_can_write_is_refused(broker):
    """It names a program that runs as root, among other things."""
    broker = broker()
    file = broker.directory / "brokerd.conf"
    file.write_text("log-level = info\n")
    for change, words in ((lambda: os.chown(file, NOBODY, 0), "belongs to user 65534"), (lambda: os.chmod(file, 0o666), "written by others"),
                          (lambda: os.chmod(broker.directory, 0o777), "written by others")):
        change()
        said = subprocess.run([*map(str, broker.command()), "--check-config"], capture_output=True, text=True, timeout=20)
        assert said.returncode == 78 and words in said.stderr and str(broker.directory) in said.stderr, said
        os.chown(file, 0, 0)
        os.chmod(file, 0o644)
        os.chmod(broker.directory, 0o755)
    assert subprocess.run([*map(str, broker.command()), "--check-config"], capture_output=True, timeout=20).returncode == 0


def test_roots_of_others_are_not_used(broker, mobyfs, directory):
    """Who can rename there could put another plugin, or another socket, in the place of one."""
    plugin = mobyfs()
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.state = fresh(directory / "theirs", NOBODY) / "state"
    broker.start()
    broker.wait_state("mobyfs", "active")
    refused = broker.pluginctl("create", "acme/one", make_plugin(directory / "p"))
    assert refused.returncode == 1 and "belongs to user 65534" in refused.stderr, refused
    assert [finding for finding in broker.findings() if finding["Problem"] == "state-root"]
    broker.stop()
    broker.state = directory / "state"
    fresh(broker.state / "plugins", NOBODY)  # or was made by hand, within a directory of root's
    broker.start()
    refused = broker.pluginctl("create", "acme/one", directory / "p")
    assert refused.returncode == 1 and f"{broker.state}/plugins belongs to user 65534" in refused.stderr, refused
    broker.stop()
    os.chown(broker.state / "plugins", 0, 0)
    broker.start()
    succeed(broker.pluginctl("create", "acme/one", directory / "p"))
    broker.stop()
    broker.runtime = directory / "theirs" / "run"
    assert "belongs to user 65534" in broker.refuse()


def test_an_engines_directory_that_others_can_write_is_not_imported(started, directory):
    """What plugins were granted there is granted here."""
    theirs = fresh(directory / "theirs", mode=0o777)
    refused = started.pluginctl("import", theirs)
    assert refused.returncode == 1 and "can be written by others" in refused.stderr and "chmod go-w" in refused.stderr, refused


class Giver:
    """A client that sends descriptors along with each piece of its request (SCM_RIGHTS), whether the reader wants them or not."""

    def __init__(self, broker, path):
        self.broker, self.path, self.sent = broker, path, 0
        self._null = os.open("/dev/null", os.O_RDONLY)
        self._gift = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [self._null] * 200))]
        self._client = socket.socket(socket.AF_UNIX)
        self._client.settimeout(PATIENCE * 20)
        self._client.connect(str(path))

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._client.close()
        os.close(self._null)

    def send(self, pieces):
        """Returns what had no room, where brokerd is stopped: then nobody waits for it."""
        pieces, stopped = list(pieces), self.waits_for_nobody()
        if stopped:
            self._client.setblocking(False)
        try:
            while pieces:
                self.sent += self._client.sendmsg(pieces[:1], self._gift)
                del pieces[0]
        except TimeoutError:
            raise AssertionError(self._standing("takes no more")) from None
        except BlockingIOError:
            assert stopped
        self._client.settimeout(PATIENCE * 20)
        return pieces

    def answer(self):
        """The beginning of the answer."""
        try:
            return self._client.recv(4096)
        except TimeoutError:
            raise AssertionError(self._standing("does not answer")) from None

    def waits_for_nobody(self):
        """Whether brokerd is stopped."""
        return "State:\tT" in pathlib.Path(f"/proc/{self.broker.process.pid}/status").read_text(encoding="ascii")

    def _standing(self, problem):
        """What everybody waits for."""
        unread = array.array("i", [0])
        fcntl.ioctl(self._client, termios.TIOCOUTQ, unread)
        tasks = pathlib.Path(f"/proc/{self.broker.process.pid}/task").iterdir()
        threads = {(task / "comm").read_text().strip(): (task / "wchan").read_text() for task in tasks}
        return (f"{self.path} {problem}: {self.sent} bytes sent, {unread[0]} of socket memory not read, {self.broker.descriptors()} "
                f"descriptors; its threads wait in {threads}; {self.broker.get('/broker/v1/stats').body}")


def test_descriptors_that_nobody_asked_for_do_not_stay(broker, mobyfs):
    plugin = mobyfs()
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    assert broker.call("mobyfs", "VolumeDriver.List").status == 200
    before = broker.descriptors()
    for path, target in ((broker.control, b"GET /_ping"), (broker.published("mobyfs"), b"POST /VolumeDriver.List")):
        with Giver(broker, path) as giver:
            with contextlib.suppress(ConnectionError):  # brokerd, or the plugin, may have its answer before it has all of this
                giver.send([target, b" HTTP/1.1\r\n", b"Host: x\r\n", b"Content-Length: 300000\r\n\r\n", *[b"x" * 10_000] * 30])
            assert giver.answer().startswith(b"HTTP/1.1 "), path
            assert broker.descriptors() <= before + 8, (path, before, broker.descriptors())
    wait_until(lambda: broker.descriptors() <= before + 2, lambda: f"{broker.descriptors()} descriptors to go, {before} before")


@pytest.mark.parametrize("name, status", [("mobyfs", b"200"), ("away", b"503")])
def test_descriptors_do_not_hide_what_has_come_behind_them(broker, mobyfs, name, status):
    """All that has room lies in the socket before brokerd looks. It hears of that once, and each piece ends a read of its. Where the
    plugin is away, the answer comes before the body, which is read so that the client can send it and sees the answer."""
    plugin = mobyfs()
    broker = broker(timeout=1)
    broker.define("mobyfs", plugin.url)
    broker.define("away", GOOD)
    broker.start()
    broker.wait_state("mobyfs", "active")
    broker.wait_state("away", "failed")
    body = b"{}".ljust(300_000)
    head = b"POST /VolumeDriver.List HTTP/1.1\r\nHost: x\r\n"
    with Giver(broker, broker.published(name)) as giver:
        giver.send([head + b"Content-Length: 2\r\n\r\n{}"])  # in one piece: the connection stays
        answer = giver.answer()
        assert answer.startswith(b"HTTP/1.1 " + status), answer
        broker.process.signal(signal.SIGSTOP)
        wait_until(giver.waits_for_nobody, "brokerd to be stopped")
        left = giver.send([head, b"Content-Length: %d\r\n\r\n" % len(body), *[body[at:at + 10_000] for at in range(0, len(body), 10_000)]])
        assert left, "it is to fill the socket"
        broker.process.signal(signal.SIGCONT)
        assert giver.send(left) == []
        answer = giver.answer()
        assert answer.startswith(b"HTTP/1.1 " + status), answer


def test_what_a_plugin_writes_beside_its_socket_fills_nothing_of_the_hosts(broker):
    """What is /run/docker/plugins to the plugin is a directory of the host's; once it was a part of /run."""
    broker = broker(extra=["--live-restore=false"]).start()
    plugin = enable_sample(broker, "acme/writer:latest")
    remains = Remains(broker)
    remains.note()
    place = broker.runtime / "exec" / plugin["Id"]
    assert place.stat().st_dev != broker.runtime.stat().st_dev
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700  # whatever mode the plugin gives its socket
    with pytest.raises(OSError, match="No space left"):
        (place / "bytes").write_bytes(bytes(64 << 20))
    assert (place / "bytes").stat().st_size <= 16 << 20
    (place / "bytes").unlink()
    with pytest.raises(OSError, match="No space left"):
        for number in range(100_000):
            os.mkdir(place / str(number))
    assert broker.call("acme/writer", "VolumeDriver.List").status == 200
    succeed(broker.pluginctl("rm", "-f", "acme/writer:latest"))
    assert remains.all() == {}


def test_a_plugin_that_makes_work_in_the_shared_directory_hides_nothing(broker, mobyfs):
    """brokerd is told of each change there. It must not fall behind, nor believe that nothing has happened."""
    neighbour = mobyfs(name="neighbour")
    broker = broker(extra=["--live-restore=false"])
    broker.define("neighbour", neighbour.url)
    broker.start()
    place = broker.runtime / "exec" / enable_sample(broker, "acme/busy:latest")["Id"]
    spam = subprocess.Popen([sys.executable, "-c", _SPAM, str(place)], stdout=subprocess.PIPE)
    try:
        spam.stdout.readline()
        broker.wait_state("neighbour", "active")
        for _ in range(200):
            assert broker.call("neighbour", "VolumeDriver.List").status == 200
            assert broker.get("/_ping").status == 200
        (place / "sample.sock").rename(place / "away")
        wait_until(lambda: broker.plugin("acme/busy:latest")["State"] != "running" or broker.plugin("acme/busy:latest")["Reason"],
                   "the missing socket to be seen", 60)
        (place / "away").rename(place / "sample.sock")
        broker.wait_state("acme/busy:latest", "running", 60)
        assert broker.call("acme/busy", "VolumeDriver.List", timeout=30).status == 200
    finally:
        spam.kill()
        spam.wait()
        spam.stdout.close()
    assert unix_http.listening(broker.control)
