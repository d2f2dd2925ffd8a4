"""Operations on managed plugins to be disturbed, and strace to disturb them with; failing_calls.py is another way."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess

from .agreement import Agreement
from .managed import leftovers, push_plugin, state_of, succeed
from .plugin_images import CONFIG, make_plugin
from .running import create_sample
from .waiting import wait_until

ENGINE_ID = "5d1a3b7c" * 8
#: Those of a World that succeed or fail; "import" is another one, which tells of each plugin and succeeds.
OPERATIONS = ["install", "set", "enable", "disable", "upgrade", "rm", "create", "load"]
#: Those that only a World with `running` has.
RUNNING = ["enable", "disable"]


class World:
    """A broker with one installed plugin, and operations that each lead from one state to another, and back. `files`: of
    that plugin, in directories of their own. With `running` there are two more, one of which runs, to be enabled and
    disabled; then close() is to be called."""

    def __init__(self, broker, registry, directory, files=20, running=False):
        self.broker = broker
        self.agreement = Agreement(broker) if running else None
        victim = f"{registry.host}/acme/victim"
        tree = {f"lib/{number}/file": os.urandom(2000) for number in range(files)}
        push_plugin(broker, registry, "acme/victim:1", directory / "p1", files=tree, size=400_000)
        push_plugin(broker, registry, "acme/victim:2", directory / "p2", files={"etc/two": b"2"}, size=300_000)
        push_plugin(broker, registry, "acme/other:1", directory / "p3", files={"etc/three": b"3"}, size=200_000)
        install = ["install", "--disable", "--grant-all-permissions", "--alias"]
        upgrade = ["upgrade", "--skip-remote-check", "--grant-all-permissions", "victim"]
        given = make_plugin(directory / "p4", files={"etc/four": b"4"}, size=100_000)
        succeed(broker.pluginctl("create", "loaded", given))
        succeed(broker.pluginctl("save", "-o", directory / "saved.tar", "loaded"))
        succeed(broker.pluginctl("rm", "loaded"))
        succeed(broker.pluginctl(*install, "victim", f"{victim}:1"))
        #: name -> (the operation, what undoes it)
        self.operations = {
            "install": ([*install, "other", f"{registry.host}/acme/other:1"], ["rm", "other"]),
            "set": (["set", "victim", "DEBUG=1"], ["set", "victim", "DEBUG=0"]),
            "upgrade": ([*upgrade, f"{victim}:2"], [*upgrade, f"{victim}:1"]),
            "rm": (["rm", "victim"], [*install, "victim", f"{victim}:1"]),
            "create": (["create", "made", given], ["rm", "made"]),
            "load": (["load", "--grant-all-permissions", directory / "saved.tar"], ["rm", "loaded"]),
            "import": (["import", make_engine_directory(directory / "engine")], ["rm", "theirs"]),
        }
        if running:
            for name in ("starter", "runner"):
                create_sample(broker, name, config={"propagatedMount": "/data"})
                succeed(broker.pluginctl("enable", name))  # the first run makes directories in its rootfs, for its mounts
            succeed(broker.pluginctl("disable", "starter"))
            self.operations["enable"] = (["enable", "starter"], ["disable", "starter"])
            self.operations["disable"] = (["disable", "runner"], ["enable", "runner"])

    def close(self):
        """No plugin is left running, also where a test has failed."""
        if not self.broker.process.running:
            self.broker.start()
        for plugin in self.broker.get("/plugins", timeout=30).json():
            succeed(self.broker.pluginctl("rm", "-f", plugin["Name"]))

    def state(self):
        """As state_of(), once what runs agrees with it."""
        if self.agreement is not None:
            wait_until(lambda: not self.agreement.faults(), lambda: f"agreement: {self.agreement.faults()}", 40)
        return state_of(self.broker)

    def do(self, operation):
        """Runs it and returns how it ended, whatever that is."""
        return self.broker.pluginctl(*self.operations[operation][0])

    def undo(self, operation):
        succeed(self.broker.pluginctl(*self.operations[operation][1]))

    def states(self, operation):
        """What the operation leads from, and to."""
        before = self.state()
        succeed(self.do(operation))
        after = self.state()
        self.undo(operation)
        assert self.state() == before != after
        return before, after

    def check(self, operation, before, after, what):
        """One of both states, nothing left over, and the operation works; then it is undone. Returns whether it had
        been done."""
        now = self.state()
        assert now in (before, after), f"{what}: between before and after: {sorted(now)}"
        assert leftovers(self.broker) == [], what
        assert self.broker.post("/broker/v1/prune", timeout=60).json()["BlobsDeleted"] == [], what
        if now == before:
            succeed(self.do(operation))
            assert self.state() == after, what
        self.undo(operation)
        return now == after


def start_disturbed(broker):
    """Starts it; returns whether it said READY. Otherwise it has ended, by itself or killed; None: neither happens."""
    broker.launch()
    try:
        broker.notify.wait_for("READY=1", 20, lambda: broker.process.running)
    except AssertionError:
        if broker.process.running:
            return None
        assert broker.process.returncode != 0
        return False
    return True


def make_engine_directory(root):
    """What an engine of today keeps of one disabled plugin, "theirs"."""
    directory = pathlib.Path(root) / "plugins" / ENGINE_ID
    make_plugin(directory, files={"etc/five": b"5"}, size=100_000)
    (directory / "config.json").write_text(json.dumps({
        "plugin": {"Id": ENGINE_ID, "Name": "theirs:latest", "Enabled": False, "PluginReference": "docker.io/library/theirs:latest",
                   "Config": {"Description": "", "Documentation": "", "Entrypoint": CONFIG["entrypoint"], "WorkDir": "/",
                              "Interface": {"Types": CONFIG["interface"]["types"], "Socket": "sample.sock"},
                              "Network": {"Type": "none"}, "Mounts": [], "Env": [], "Args": {"Name": "", "Value": []},
                              "Linux": {"Capabilities": [], "AllowAllDevices": False, "Devices": []}},
                   "Settings": {"Mounts": [], "Env": [], "Args": [], "Devices": []}},
        "Rootfs": {"type": "layers"}, "Config": "sha256:" + "0" * 64, "Blobsums": [], "SwarmServiceID": ""}))
    return directory.parent


@contextlib.contextmanager
def traced(broker, calls, inject):
    """Disturbs the system calls `calls` of the broker and of its children by strace, which numbers them for each thread; for
    what is numbered across all of them, see failing_calls.py. What it saw is in the broker's directory, in strace.log."""
    log = broker.directory / "strace.log"
    log.unlink(missing_ok=True)
    process = broker.process.pid
    tasks = [int(name) for name in os.listdir(f"/proc/{process}/task")]
    command = ["strace", "-f", "-qq", "-y", "-o", str(log), "-e", f"trace={calls}", "-e", f"inject={calls}:{inject}", "-p", str(process)]
    strace = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: all(_is_traced(process, task) for task in tasks) or strace.poll() is not None, "strace to be attached", 30)
        assert strace.poll() is None, strace.stderr.read()
        yield
    finally:
        if strace.poll() is None:
            strace.send_signal(signal.SIGTERM)
        strace.wait(30)
        strace.stderr.close()


def _is_traced(process, task):
    try:
        status = pathlib.Path(f"/proc/{process}/task/{task}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return True
    return "TracerPid:\t0" not in status
