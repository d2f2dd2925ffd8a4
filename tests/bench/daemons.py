"""The programs that are measured, each on private directories: brokerd, and Debian's dockerd as its peer."""

import contextlib
import http.client
import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_SECONDS = 60


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path, timeout=30):
        super().__init__("broker", timeout=timeout)
        self.unix_path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.unix_path)


def end(process):
    """SIGTERM, then SIGKILL; the process is reaped."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


class Brokerd:
    """A brokerd on directories below `place` (as /etc and /var: on disk) and `volatile` (as /run: a tmpfs), which exist
    and are private. A context manager; enter returns once it is ready. `ready_seconds` is the time from its start to
    READY=1."""

    def __init__(self, place, volatile, build, *arguments):
        self.place, self.volatile = pathlib.Path(place), pathlib.Path(volatile)
        self.control = str(self.volatile / "control.sock")
        self.engine = self.volatile / "engine"
        self.specs = self.place / "etc"
        self.published = self.volatile / "run" / "plugins"
        self.pluginctl = str(build / "cli" / "pluginctl")
        self._command = [str(build / "daemon" / "brokerd"), "--config", str(self.place / "brokerd.conf"),
                         "--control-socket", self.control, "--state-root", str(self.place / "state"),
                         "--runtime-root", str(self.volatile / "run"), "--engine-socket-dir", str(self.engine),
                         "--spec-dir", str(self.specs), *arguments]
        for directory in (self.engine, self.specs, self.place / "state", self.volatile / "run"):
            directory.mkdir(exist_ok=True)
        (self.place / "brokerd.conf").touch()
        self.process = None
        self.ready_seconds = None

    def __enter__(self):
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify_path = str(self.volatile / "notify.sock")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(notify_path)
        notify.bind(notify_path)
        with notify, open(self.place / "brokerd.log", "ab") as log:
            started = time.perf_counter()
            self.process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, "NOTIFY_SOCKET": notify_path})
            try:
                self._wait_ready(notify, started + START_SECONDS)
            except BaseException:
                end(self.process)
                raise
            self.ready_seconds = time.perf_counter() - started
        return self

    def _wait_ready(self, notify, deadline):
        while True:
            if not select.select([notify], [], [], 0.2)[0]:
                if self.process.poll() is not None:
                    raise RuntimeError(f"brokerd ended with status {self.process.returncode}: {self._last_words()}")
                if time.perf_counter() > deadline:
                    raise RuntimeError(f"brokerd was not ready after {START_SECONDS} s: {self._last_words()}")
            elif b"READY=1" in notify.recv(65536).split(b"\n"):
                return

    def _last_words(self):
        return (self.place / "brokerd.log").read_text(errors="replace")[-300:]

    def __exit__(self, *_ignored):
        end(self.process)

    def get(self, path):
        connection = UnixConnection(self.control)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def state_of(self, name):
        return next((p["State"] for p in self.get("/broker/v1/plugins")["Plugins"] if p["Name"] == name), None)


class EventStream:
    """Follows /broker/v1/events from now on."""

    def __init__(self, broker):
        self._connection = UnixConnection(broker.control, timeout=60)
        self._connection.request("GET", "/broker/v1/events")
        self._answer = self._connection.getresponse()
        if self._answer.status != 200:
            raise RuntimeError(f"events: status {self._answer.status}")

    def wait_for(self, plugin, action):
        """Returns the time at which the event was read."""
        while line := self._answer.readline():
            if not line.strip():
                continue
            event = json.loads(line)
            if event.get("Plugin") == plugin and event.get("Action") == action:
                return time.perf_counter()
        raise RuntimeError("the event stream ended")

    def close(self):
        self._connection.close()


class Dockerd:
    """Debian's dockerd with its containerd, below `place`, in a mount namespace of its own: it sees an empty /run and a
    copy of /etc, so nothing of the host's Docker is read or written."""

    PROGRAM, CLIENT = "/usr/sbin/dockerd", "/usr/bin/docker"
    # $1 is the place. exec: the daemon keeps the pid.
    SCRIPT = """
        set -e
        mkdir -p "$1/upper" "$1/work" "$1/data"
        mount -t tmpfs tmpfs /run
        mount -t overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" overlay /etc
        mkdir -p /etc/docker
        echo '{}' >/etc/docker/daemon.json
        exec "$2" -H "unix://$1/docker.sock" --data-root "$1/data" --exec-root /run/docker --pidfile /run/docker.pid \\
            --iptables=false --bridge=none
    """

    def __init__(self, place):
        self.place = pathlib.Path(place)
        self.place.mkdir(exist_ok=True)
        self.socket = str(self.place / "docker.sock")
        self.ls = [self.CLIENT, "-H", f"unix://{self.socket}", "plugin", "ls"]
        self.process = None

    @classmethod
    def installed(cls):
        return os.access(cls.PROGRAM, os.X_OK) and os.access(cls.CLIENT, os.X_OK)

    def __enter__(self):
        with open(self.place / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", self.SCRIPT, "sh", str(self.place), self.PROGRAM],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        try:
            while not self._answers():
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("dockerd does not answer: " + (self.place / "log").read_text()[-300:])
                time.sleep(0.05)
        except BaseException:
            end(self.process)
            raise
        return self

    def _answers(self):
        connection = UnixConnection(self.socket, timeout=5)
        try:
            connection.request("GET", "/_ping")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def __exit__(self, *_ignored):
        end(self.process)


def process_tree(pid):
    """`pid` and all its descendants."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children", encoding="ascii") as children:
                    found.extend(map(int, children.read().split()))
    return found


def pss_megabytes(pid):
    """Proportional set size of one process, in units of 10^6 bytes."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) * 1024 / 1e6


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
