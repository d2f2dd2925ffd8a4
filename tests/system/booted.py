#!/usr/bin/python3
"""A Debian 12 with systemd as its first process, in systemd-nspawn, and brokerd installed in it.

The tree of the system is made once (with debootstrap, from where apt on this machine gets its packages) and kept outside
the repository; each Machine lays a file system in memory over it. It has namespaces of its own for everything, and
control groups below groups of its own: nothing of it reaches the host.

Run as a program it makes the tree: booted.py   (BROKERD_TEST_CACHE: where, else /var/cache/brokerd-tests)
"""

import fcntl
import hashlib
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

# systemd and its bus, what runs plugins, the libraries of brokerd, engines, and python3 for mobyfs.
PACKAGES = ("systemd", "systemd-sysv", "dbus", "runc", "procps", "libfmt9", "libcpp-httplib0.11", "libarchive13", "libssl3",
            "libseccomp2", "libsystemd0", "zlib1g", "fuse3", "docker.io", "podman", "python3")
# apt installs them, because debootstrap takes the first of each choice among dependencies, and podman's do not fit so. Nothing
# is started in there.
INSTALLATION = """
    set -e
    export DEBIAN_FRONTEND=noninteractive
    root=$1
    debootstrap --variant=minbase bookworm "$root" "$2"
    shift 2
    printf '#!/bin/sh\\nexit 101\\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    mount -t proc proc "$root/proc"
    chroot "$root" apt-get -q -y -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Use-Pty=0 install --no-install-recommends "$@"
    chroot "$root" apt-get clean
    rm "$root/usr/sbin/policy-rc.d"
"""
# What of it is for the tests that want it; the others boot faster without.
ENGINES = ("containerd.service", "docker.service", "docker.socket", "podman.service", "podman.socket", "podman-auto-update.timer",
           "podman-auto-update.service", "podman-restart.service")
CACHE = pathlib.Path(os.environ.get("BROKERD_TEST_CACHE", "/var/cache/brokerd-tests"))
CGROUPS = pathlib.Path("/sys/fs/cgroup")
# File systems of their own: engines lay overlays of their own over these, and the journal is read from outside.
DISKS = {"journal": "/var/log/journal", "brokerd": "/var/lib/brokerd", "docker": "/var/lib/docker", "containers": "/var/lib/containers"}
PATIENCE_SECONDS = 120  # for what takes seconds on a machine that has nothing else to do
# nspawn hands on the controllers of cgroup v1 read-only; on a host they are not.
FIRST_PROCESS = 'for group in /sys/fs/cgroup/*/; do mount -o remount,bind,rw "$group"; done; exec /lib/systemd/systemd'


def tree():
    """Where the tree is, or is to be made. Other packages make another one."""
    return CACHE / f"bookworm-{hashlib.sha256(' '.join(PACKAGES).encode()).hexdigest()[:12]}"


def mirror():
    """Where this machine's apt gets Debian 12 from."""
    lines = subprocess.run(["apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)"],
                           check=True, capture_output=True, text=True).stdout.splitlines()
    for words in map(str.split, lines):
        if words[:2] == ["bookworm", "main"]:
            return words[2]
    raise SystemExit("booted.py: apt on this machine knows no source of Debian 12 (bookworm main)")


def make_tree():
    """Needs root and the package mirror. Whole or not at all, also when two do it at once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if tree().exists():
            return
        unfinished = pathlib.Path(tempfile.mkdtemp(prefix="unfinished.", dir=CACHE))
        try:
            unfinished.chmod(0o755)
            # Mounts and processes of the installation end with its namespaces.
            subprocess.run(["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "sh", "-c", INSTALLATION,
                            "sh", unfinished, mirror(), *PACKAGES], check=True, stdin=subprocess.DEVNULL)
            _run("systemctl", f"--root={unfinished}", "disable", *ENGINES)
            unfinished.rename(tree())
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise


def install(build, place):
    """What `cmake --install` of a build directory puts into /usr, with both units enabled, below `place`."""
    environment = {**os.environ, "DESTDIR": str(place)}
    _run("cmake", "--install", build, "--prefix", "/usr", "--strip", env=environment)
    enable(place, "brokerd.service", "brokerd.socket")


def enable(place, *units):
    """Units that lie below `place`, for the next boot."""
    _run("systemctl", f"--root={place}", "enable", *units)


def _run(*command, **options):
    result = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)
    if result.returncode != 0:
        raise AssertionError(f"{command}: status {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


class Machine:
    """A booted system: the tree, with what lies in `installed` over it. `unified`: cgroup v2 only, as far as the host's
    kernel has controllers left for it; else the host's layout. `on_disk`: which of DISKS are on this host's disk, and not in
    memory, where what is written counts as the writer's for as long as it is there. A context manager."""

    def __init__(self, installed, unified=False, on_disk=()):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="b.", dir="/tmp"))
        # What it writes. Not on the disk: journald waits for one at the worst moments.
        self.kept = pathlib.Path(tempfile.mkdtemp(prefix="b.", dir="/dev/shm"))
        self.journal_directory = self.kept / "journal"
        self._disks = {name: (self.directory if name in on_disk else self.kept) / name for name in DISKS}
        for path in (self.kept / "upper", self.kept / "work", *self._disks.values()):
            path.mkdir()
        (self.directory / "root").mkdir()
        self.name = f"brokerd-test-{secrets.token_hex(4)}"
        self.process = None
        self.leader = None  # the number of its first process, seen from here
        self._installed = pathlib.Path(installed)
        self._unified = unified
        self._groups = self._make_groups()
        try:
            self.boot()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()

    @property
    def root(self):
        """Its file system, seen from here; sockets in it can be connected to."""
        return pathlib.Path(f"/proc/{self.leader}/root")

    def run(self, *command, timeout=PATIENCE_SECONDS, **options):
        """A command inside; returns what subprocess.run() returns."""
        return subprocess.run(self.command(*command), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, **options)

    def command(self, *command):
        """For what runs longer: the same as a command of this host."""
        return ["nsenter", f"--target={self.leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--wdns=/",
                "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "SYSTEMD_PAGER=", *map(str, command)]

    def succeed(self, *command, **options):
        result = self.run(*command, **options)
        assert result.returncode == 0, f"{command}: status {result.returncode}\n{result.stdout}{result.stderr}\n{self.console()[-2000:]}"
        return result.stdout

    def show(self, unit, name):
        """A property of a unit."""
        return self.succeed("systemctl", "show", f"--property={name}", "--value", unit).strip()

    def journal(self, *arguments):
        """Entries of the journal, as dictionaries, the oldest first; also after the machine has been powered off."""
        text = _run("journalctl", f"--directory={self.journal_directory}", "--quiet", "--output=json", *arguments)
        return [json.loads(line) for line in text.splitlines()]

    def write(self, path, text):
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def console(self):
        """What systemd wrote to its console, so far."""
        return (self.directory / "console").read_text(errors="replace")

    def power_off(self):
        """As an operator does it; returns when the last process has ended. It may be booted again then, with what it wrote."""
        self.run("systemctl", "poweroff", "--no-wall")
        self._ended()

    def pull_the_plug(self):
        """Every process of it ends at once. It may be booted again."""
        _kill(self.leader)
        self._ended()

    def _ended(self):
        self.process.wait(PATIENCE_SECONDS)
        self.leader = None
        self._empty_groups()

    def close(self):
        if self.process is not None and self.process.poll() is None:
            if self.leader is not None:
                _kill(self.leader)  # the whole process namespace ends with it
            try:
                self.process.wait(10 if self.leader is not None else 0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._empty_groups()
        for group in self._groups:
            _remove_group(group)
        for directory in (self.directory, self.kept):
            shutil.rmtree(directory)

    @property
    def _devices(self):
        return [f"--bind={path}" for path in ("/dev/fuse",) if os.path.exists(path)]

    def boot(self):
        """Returns when systemd has started everything. For a machine that has been powered off."""
        assert tree().exists(), f"there is no {tree()}; make it: sudo tests/system/booted.py"
        environment = {key: value for key, value in os.environ.items() if key != "LANG"}
        if self._unified:
            environment["SYSTEMD_NSPAWN_UNIFIED_HIERARCHY"] = "1"
        # The overlay is in a mount namespace that ends with nspawn. Its /run is private, too: nspawn leaves things there.
        script = """
            set -e
            mount -t tmpfs -o mode=755 tmpfs /run
            mount -t overlay -o "lowerdir=$2:$3,upperdir=$4/upper,workdir=$4/work" overlay "$1/root"
            shift 4
            exec "$@"
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications, open(self.directory / "console", "wb") as console:
            (self.directory / "notify.sock").unlink(missing_ok=True)
            notifications.bind(str(self.directory / "notify.sock"))
            notifications.settimeout(PATIENCE_SECONDS)
            environment["NOTIFY_SOCKET"] = str(self.directory / "notify.sock")
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", self.directory, self._installed, tree(),
                 self.kept, "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", f"--machine={self.name}", "--hostname=broker",
                 "--directory", self.directory / "root", "--private-network", "--capability=all", "--system-call-filter=@keyring bpf pidfd_getfd",
                 *(f"--bind={self._disks[name]}:{path}" for name, path in DISKS.items()), *self._devices, "--resolv-conf=off",
                 "--timezone=off", "--link-journal=no", "--kill-signal=SIGRTMIN+3", "--console=pipe",
                 "/bin/sh", "-c", FIRST_PROCESS],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=environment, preexec_fn=self._enter_groups)
            self.leader = self._leader(notifications)
        state = "offline"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while state not in ("running", "degraded"):
            assert self.process.poll() is None and time.monotonic() < deadline, f"{state}\n{self.console()}"
            time.sleep(0.05)
            state = self.run("systemctl", "is-system-running").stdout.strip()

    def _leader(self, notifications):
        while True:
            assert self.process.poll() is None, self.console()
            for line in notifications.recv(4096).decode().splitlines():
                name, _equals, value = line.partition("=")
                if name == "X_NSPAWN_LEADER_PID":
                    return int(value)

    def memory_group(self, pid):
        """The control group that the memory of this process (its number on this host) is charged to."""
        lines = pathlib.Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").splitlines()
        groups = {controllers: path for _number, controllers, path in (line.split(":", 2) for line in lines)}
        if "memory" in groups:
            return CGROUPS / "memory" / groups["memory"].lstrip("/")
        return CGROUPS / groups[""].lstrip("/")

    def _make_groups(self):
        """A group for the machine in each hierarchy of control groups that the host has."""
        groups = []
        with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
            for fields in map(str.split, mounts):
                if fields[fields.index("-") + 1] in ("cgroup", "cgroup2"):
                    group = pathlib.Path(fields[4]) / self.name
                    group.mkdir(exist_ok=True)
                    groups.append(group)
                    if group.parent.name == "cpuset":  # the one controller without a default
                        for name in ("cpuset.cpus", "cpuset.mems"):
                            (group / name).write_text((group.parent / name).read_text())
        return groups

    def _empty_groups(self):
        for group in self._groups:
            for path, _directories, _files in os.walk(group, topdown=False):
                if path != str(group):
                    _remove_group(path)

    def _enter_groups(self):
        for group in self._groups:
            (group / "cgroup.procs").write_text("0")


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _remove_group(path):
    """The kernel takes a moment for processes that were killed."""
    deadline = time.monotonic() + 10
    while True:
        try:
            os.rmdir(path)
            return
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


if __name__ == "__main__":
    make_tree()
    print(tree(), file=sys.stderr)
