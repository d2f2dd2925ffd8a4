"""A booted machine as an operator runs it: docker, brokerd, a volume plugin that is elsewhere, two that brokerd runs, and a
container with a volume of each that docker is to keep running."""

import contextlib
import json
import os
import pathlib
import shutil
import tempfile

import booted
from harness.engines import IMAGE, make_image
from harness.rclone_plugin import make_plugin_of_rclone
from harness.waiting import wait_until
from inside import LAST_LOOK, PATIENCE, ROOT, add_plugin, add_unit, inspect

REMOTE, FUSE, PLAIN = "mobyfs", "acme/rclone", "acme/sample"
MANAGED = (FUSE, PLAIN)
CONTAINERS = {"one": REMOTE, "two": FUSE, "three": PLAIN}  # container -> plugin of its volume
# The machine has no modules for bridges and packet filters, and no network to be bridged.
DAEMON = {"iptables": False, "ip6tables": False, "ip-forward": False, "bridge": "none"}

# A plugin that is on another host: nothing orders it, it runs when docker has been stopped long since, and it may be late.
ELSEWHERE = """[Unit]
DefaultDependencies=no
[Service]
ExecStartPre=/bin/sh -c 'exec sleep "$(cat /etc/elsewhere-delay)"'
ExecStart=/usr/local/bin/mobyfs --listen tcp://127.0.0.1:4100 --root /srv/elsewhere --verbose
[Install]
WantedBy=sysinit.target
"""
# It goes on with the number that it finds. Whoever loses its volume, or cannot write to it, ends, and docker counts that.
WRITER = """trap 'exit 0' TERM
[ -e /v/count ] || echo 0 >/v/count
while i=$(cat /v/count) && echo $((i + 1)) >/v/count; do /bin/busybox sleep 0.1; done"""


class DockerHost(booted.Machine):
    """Has docker once start_docker() was called, and the rest once brokerd is installed and equip() was called."""

    def install(self, package):
        """As an operator does it, whatever version was there before."""
        shutil.copy(package, self.root / "root")
        self.succeed("dpkg", "--install", f"/root/{package.name}")

    def equip(self):
        add_unit(self, "last-look.service", LAST_LOOK)
        self._add_elsewhere()
        self._add_fuse()
        add_plugin(self, PLAIN, config={"propagatedMount": "/data"})
        self.succeed("pluginctl", "enable", PLAIN)
        for name, plugin in CONTAINERS.items():
            options = ["--opt=remote=/remote"] if plugin == FUSE else []
            self.docker("volume", "create", "--driver", plugin, *options, f"files-{name}")
            self.docker("run", "--detach", "--name", name, "--restart", "always", "--network", "none",
                        "--volume", f"files-{name}:/v", IMAGE, "/bin/sh", "-c", WRITER)
        self.wait_written()

    def start_docker(self):
        """As its package leaves it; here it has no network to manage, and no registry."""
        self.write("/etc/docker/daemon.json", json.dumps(DAEMON))
        self.succeed("systemctl", "enable", "--now", "docker.socket", "docker.service")
        make_image(self.root / "root/tiny.tar")
        self.docker("import", "/root/tiny.tar", IMAGE)

    def _add_elsewhere(self):
        program = ROOT / "tests/fixtures/mobyfs"
        self.write("/usr/local/bin/mobyfs", program.read_text())
        (self.root / "usr/local/bin/mobyfs").chmod(0o755)
        self.answer_late(0)
        add_unit(self, "elsewhere.service", ELSEWHERE)
        self.write(f"/etc/docker/plugins/{REMOTE}.spec", "tcp://127.0.0.1:4100\n")

    def _add_fuse(self):
        """rclone with real FUSE: its files are those of /srv/files."""
        for directory in ("srv/files", "root/plugin"):
            (self.root / directory).mkdir(parents=True)
        make_plugin_of_rclone(self.root / "root/plugin/rclone")
        self.succeed("pluginctl", "create", FUSE, "/root/plugin/rclone")
        self.succeed("pluginctl", "set", FUSE, "data.source=/srv/files")
        self.succeed("pluginctl", "enable", FUSE)

    def answer_late(self, seconds):
        """How long after its start, from the next one on, the plugin elsewhere begins to answer."""
        self.write("/etc/elsewhere-delay", f"{seconds}\n")

    def docker(self, *arguments):
        return self.succeed("docker", *arguments).strip()

    def container(self, name):
        """What docker knows of it: (running, its process, how often docker restarted it)."""
        said = self.docker("inspect", "--format", "{{.State.Running}} {{.State.Pid}} {{.RestartCount}}", name).split()
        return said[0] == "true", int(said[1]), int(said[2])

    def count(self, name):
        """What a container has counted to, seen from beside it and its volume; 0 while it writes."""
        try:
            return int((self._place(name) / "count").read_text() or 0)
        except FileNotFoundError:
            return 0

    def _place(self, container):
        """Where the files of its volume are."""
        if CONTAINERS.get(container) == PLAIN:
            volumes = pathlib.Path("var/lib/brokerd/plugins") / inspect(self, PLAIN)["Id"] / "propagated-mount"
            return self.root / volumes / "files-three"
        return self.root / ("srv/files" if CONTAINERS.get(container) == FUSE else f"srv/elsewhere/files-{container}")

    def wait_written(self):
        """Until each container has written to its volume once more; returns what docker knows of them."""
        for name in CONTAINERS:
            before = wait_until(lambda name=name: self.count(name), f"number of {name}", PATIENCE, 0.1)
            wait_until(lambda name=name, before=before: self.count(name) > before,
                       lambda name=name: f"line of {name}: {self.docker('ps', '--all')}\n{self.docker('logs', name)}", PATIENCE, 0.1)
        return {name: self.container(name) for name in CONTAINERS}

    def stamp(self, message, unit):
        """When systemd logged this of a unit first, in µs of the machine's monotonic clock."""
        entries = self.journal("--boot", f"MESSAGE_ID={message}", f"UNIT={unit}")
        assert entries, f"systemd has not said {message} of {unit}:\n{self.log()}"
        return int(entries[0]["__MONOTONIC_TIMESTAMP"])

    def log(self):
        return "\n".join(f"{unit}: {line}" for unit, line in self.said())

    def said(self):
        """The lines of the journal of the last boot, and who wrote each."""
        return [(entry.get("UNIT") or entry.get("_SYSTEMD_UNIT", ""), str(entry["MESSAGE"])) for entry in self.journal("--boot")]


@contextlib.contextmanager
def installed_host(package):
    """A host that had docker.io first, and brokerd's package then."""
    unified = bool(os.environ.get("BROKERD_SYSTEM_UNIFIED"))
    with tempfile.TemporaryDirectory(prefix="b.", dir="/tmp") as nothing, DockerHost(nothing, unified) as host:
        host.start_docker()
        host.install(package)
        host.equip()
        yield host
