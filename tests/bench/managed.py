"""The measurements of managed plugins: install beside Docker's, memory, a thousand of them."""

import contextlib
import hashlib
import json
import os
import pathlib
import socket
import statistics
import subprocess
import threading
import time

import daemons
import plugins
from report import Figure, Row

MEGABYTE = 1_000_000
REGISTRY = "/usr/bin/docker-registry"
CONFIG = {"description": "measured", "documentation": "", "entrypoint": ["/bin/x"], "network": {"type": "none"}, "workdir": "/",
          "interface": {"types": ["docker.volumedriver/1.0"], "socket": "x.sock"},
          "env": [{"name": "DEBUG", "description": "", "settable": ["value"], "value": "0"}]}


class Registry:
    """Debian's docker-registry on a free port."""

    def __init__(self, place):
        self.place = pathlib.Path(place)
        self.process = None

    def __enter__(self):
        reserved, port = plugins.reserve_port()
        reserved.close()
        self.host = f"127.0.0.1:{port}"
        self.place.mkdir()
        (self.place / "config.yml").write_text(
            f"version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {self.place}/storage\nhttp:\n  addr: {self.host}\n")
        with open(self.place / "log", "ab") as log:
            self.process = subprocess.Popen([REGISTRY, "serve", str(self.place / "config.yml")], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env={**os.environ, "OTEL_TRACES_EXPORTER": "none"})
        deadline = time.monotonic() + daemons.START_SECONDS
        while not self._accepts(port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("docker-registry does not answer: " + (self.place / "log").read_text()[-300:])
            time.sleep(0.02)
        return self

    @staticmethod
    def _accepts(port):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    def __exit__(self, *_ignored):
        daemons.end(self.process)


def make_plugin(place, megabytes):
    """A plugin of one file that does not compress and some thousand small ones that do, as programs and libraries are."""
    root = place / "rootfs"
    (root / "run" / "docker" / "plugins").mkdir(parents=True)
    (root / "bin").mkdir()
    (root / "bin" / "x").write_bytes(os.urandom(megabytes * MEGABYTE))
    for directory in range(20):
        (root / "lib" / str(directory)).mkdir(parents=True)
        for file in range(50):
            (root / "lib" / str(directory) / str(file)).write_bytes(b"%d\n" % file * 200)
    (place / "config.json").write_text(json.dumps(CONFIG))
    return place


class PeakMemory:
    """The largest sum of resident memory that a process and its descendants had, in megabytes, seen every millisecond;
    of the process itself the kernel's own record counts."""

    def __init__(self, pid):
        self.pid, self.peak, self._ended = pid, 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self):
        while not self._ended.wait(0.001):
            self.peak = max(self.peak, sum(map(self._resident, daemons.process_tree(self.pid))))

    @staticmethod
    def _resident(pid):
        try:
            fields = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
            return next(int(line.split()[1]) for line in fields.splitlines() if line.startswith("Pss:")) * 1024 / 1e6
        except (OSError, StopIteration):
            return 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_ignored):
        self._ended.set()
        self._thread.join()


def run(command, environment):
    started = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-300:]}")
    return time.perf_counter() - started


def install(bench):
    """`install --disable` of a 50 MB plugin from a registry on loopback, beside Docker's, in turn."""
    time_row = Row("install, 50 MB plugin, local registry, median", peer_name="docker plugin install", target=Figure(0.6, "x"))
    memory_row = Row("peak memory meanwhile (PSS, all processes)", target=Figure(32, "MB"))
    environment = {"PATH": os.environ["PATH"], "HOME": str(bench.place)}
    with contextlib.ExitStack() as stack:
        registry = stack.enter_context(Registry(bench.place / "registry"))
        broker = stack.enter_context(bench.brokerd())
        ours = [broker.pluginctl, "-H", f"unix://{broker.control}"]
        name = f"{registry.host}/bench/fifty"
        run([*ours, "create", name, str(make_plugin(bench.place / "plugin", 50))], environment)
        run([*ours, "push", name], environment)
        run([*ours, "rm", name], environment)
        programs = [ours]
        if daemons.Dockerd.installed():
            docker = stack.enter_context(daemons.Dockerd(bench.place / "docker"))
            programs.append([docker.CLIENT, "-H", f"unix://{docker.socket}", "plugin"])
        times = [[] for _program in programs]
        with PeakMemory(broker.process.pid) as memory:
            for number in range(bench.count(9, at_least=3) + 1):
                for program, samples in zip(programs, times):
                    taken = run([*program, "install", "--disable", "--grant-all-permissions", name], environment)
                    run([*program, "rm", name], environment)
                    if number > 0:  # the first one warms up
                        samples.append(taken)
        memory_row.brokerd = Figure(memory.peak, "MB")
        time_row.brokerd = Figure(statistics.median(times[0]) * 1e3, "ms")
        time_row.detail = {"samples_ms": [[sample * 1e3 for sample in samples] for samples in times]}
        if len(times) > 1:
            time_row.peer = Figure(statistics.median(times[1]) * 1e3, "ms")
    return [time_row, memory_row]


def install_large(bench):
    """The same memory for ten times the size."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(bench.place)}
    with contextlib.ExitStack() as stack:
        registry = stack.enter_context(Registry(bench.place / "registry-large"))
        broker = stack.enter_context(bench.brokerd())
        ours = [broker.pluginctl, "-H", f"unix://{broker.control}"]
        name = f"{registry.host}/bench/large"
        with PeakMemory(broker.process.pid) as memory:
            run([*ours, "create", name, str(make_plugin(bench.place / "large", 500))], environment)
            run([*ours, "push", name], environment)
            run([*ours, "rm", name], environment)
            run([*ours, "install", "--disable", "--grant-all-permissions", name], environment)
    return [Row("peak memory, create, push, install of 500 MB", Figure(memory.peak, "MB"), target=Figure(32, "MB"))]


def thousand(bench):
    """Start with 1 000 installed plugins, and one change of the state of one of them."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(bench.place)}
    broker = bench.brokerd()
    state = broker.place / "state" / "plugins"
    state.mkdir(parents=True)
    inventory = {}
    for number in range(1000):
        plugin = hashlib.sha256(str(number).encode()).hexdigest()
        (state / plugin / "rootfs").mkdir(parents=True)
        (state / plugin / "config.json").write_text(json.dumps(CONFIG))
        inventory[plugin] = {"plugin": {"Id": plugin, "Name": f"acme/p{number}", "Tag": "latest", "Enabled": False, "Config": CONFIG}}
    (state / "plugins.json").write_text(json.dumps(inventory))
    with broker:  # the first start writes the inventory in our own form
        pass
    times = []
    for _round in range(bench.count(5, at_least=3)):
        with broker:
            times.append(broker.ready_seconds)
    changes = []
    with broker:
        ours = [broker.pluginctl, "-H", f"unix://{broker.control}"]
        if len(broker.get("/plugins")) != 1000:
            raise RuntimeError("not all plugins are there")
        for number in range(bench.count(20)):
            changes.append(run([*ours, "set", f"acme/p{number * 7}", f"DEBUG={number}"], environment))
    return [Row("start to READY, 1 000 managed plugins", Figure(statistics.median(times) * 1e3, "ms"), target=Figure(200, "ms")),
            Row("`set` of one of them, median", Figure(statistics.median(changes) * 1e3, "ms"), target=Figure(10, "ms"))]
