"""What managed plugins may leave on the host: processes, mounts, control groups, files and sockets."""

import glob
import os
import pathlib


def _plugin_ids(broker):
    plugins = broker.state / "plugins"
    return {path.name for path in plugins.iterdir() if len(path.name) == 64} if plugins.exists() else set()


def _text(path):
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:  # the process has ended
        return ""


class Remains:
    """Knows the plugins that a broker has had, also those that have been removed. note() after each that is added."""

    def __init__(self, broker):
        self.broker = broker
        self.ids = set()

    def note(self):
        self.ids |= _plugin_ids(self.broker)

    def processes(self):
        """Of plugins, their shims and the OCI runtime."""
        found = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            command = _text(process / "cmdline").replace("\0", " ")
            groups = _text(process / "cgroup")
            if any(name in command or f"/{name}" in groups or f"-{name}.scope" in groups for name in self.ids):
                found.append(f"{process.name}: {command}")
        return found

    def mounts(self):
        roots = (f"{self.broker.state}/", f"{self.broker.runtime}/")
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as table:
            return [point for point in (line.split()[4] for line in table) if point.startswith(roots)]

    def groups(self):
        patterns = ("brokerd/", "brokerd.slice/brokerd-")
        return [path for name in self.ids for pattern in patterns for level in ("", "*/")
                for path in glob.glob(f"/sys/fs/cgroup/{level}{pattern}{name}*")]

    def files(self):
        roots = [self.broker.runtime / name for name in ("exec", "bundles", "runtime-state")]
        return [str(path) for root in roots if root.exists() for path in root.iterdir()]

    def sockets(self):
        return [str(path) for root in (self.broker.runtime / "plugins", self.broker.engine_sockets)
                for path in root.rglob("*.sock")]

    def all(self):
        self.note()
        found = {"processes": self.processes(), "mounts": self.mounts(), "groups": self.groups(), "files": self.files(),
                 "sockets": self.sockets()}
        return {kind: what for kind, what in found.items() if what}


class Figures:
    """What brokerd and its plugins take of the host."""

    def __init__(self, broker, remains):
        self.descriptors = broker.descriptors()
        self.threads = len(os.listdir(f"/proc/{broker.process.pid}/task"))
        self.processes = len(remains.processes())
        self.mounts = sorted(remains.mounts())
        self.groups = len(remains.groups())
        self.files = sorted(remains.files())
        self.sockets = sorted(remains.sockets())

    def __str__(self):
        counts = {key: value if isinstance(value, int) else len(value) for key, value in vars(self).items()}
        return ", ".join(f"{value} {key}" for key, value in counts.items())

    def more_than(self, other):
        """What there is now that was not there then; of what comes and goes with load, at most as much as then."""
        return [f"{key}: {value if isinstance(value, int) else sorted(set(value) ^ set(vars(other)[key]))}"
                for key, value in vars(self).items()
                if (value > vars(other)[key] if key in ("descriptors", "threads") else value != vars(other)[key])]


def assert_nothing_runs(remains):
    """Once a broker has ended that takes its plugins along: only published sockets stay, for calls that come meanwhile."""
    left = remains.all()
    left.pop("sockets", None)
    assert left == {}, left


def assert_nothing_left(remains):
    """Once no plugin runs, and none is to."""
    left = remains.all()
    assert left == {}, left


def assert_state_clean(broker):
    """The state root holds the plugins that the inventory has, and nothing of others."""
    known = {plugin["Id"] for plugin in broker.get("/plugins", timeout=30).json()}
    plugins = {path.name for path in (broker.state / "plugins").iterdir()} - {"plugins.json", "tmp"}
    assert plugins == known
    assert list((broker.state / "plugins" / "tmp").iterdir()) == []
    logs = broker.state / "logs"
    assert {path.name for path in (logs.iterdir() if logs.exists() else ())} <= known
