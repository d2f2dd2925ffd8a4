"""brokerd-shim by itself, with the real OCI runtime: what it keeps of a plugin, and what it says when nothing runs."""

import fcntl
import glob
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess

import pytest
from harness.build import BUILD, SANITIZERS
from harness.waiting import wait_until

SHIM = pathlib.Path(BUILD).resolve() / "daemon" / "shim" / "brokerd-shim"
RUNC = shutil.which("runc", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="containers need root"),
              pytest.mark.skipif(RUNC is None, reason="runc is not installed")]


def is_locked(path):
    with open(path, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True


class Shim:
    """One run of a plugin whose entrypoint is `args`, in the directory `place`."""

    def __init__(self, place, rootfs, args, runtime=RUNC, namespaces=("pid", "ipc", "uts", "mount"), resources=None):
        self.bundle, self.state, self.runtime = place / "bundle", place / "state", runtime
        self.id = "t" + place.name.replace("_", "-")
        self.logs = place / "logs" / self.id
        self.bundle.mkdir(mode=0o700)
        spec = {"ociVersion": "1.0.2", "root": {"path": str(rootfs)},
                "process": {"args": args, "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}},
                "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                           {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}],
                "linux": {"namespaces": [{"type": kind} for kind in namespaces], "resources": resources or {},
                          "cgroupsPath": f"/brokerd-test/{self.id}"}}
        (self.bundle / "config.json").write_text(json.dumps(spec))
        report, writing = os.pipe()
        lock = os.open(self.bundle / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)

        def hand_over():
            high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 50) for fd in (writing, lock)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            [SHIM, "--id", self.id, "--name", "test/plugin:latest", "--runtime", runtime, "--runtime-root", self.state,
             "--bundle", self.bundle, "--log-directory", self.logs], close_fds=False, preexec_fn=hand_over)
        os.close(writing)
        os.close(lock)
        with os.fdopen(report) as pipe:
            assert select.select([pipe], [], [], 20)[0], "no report"
            self.report = json.loads(pipe.readline())
            assert pipe.read() == ""

    def end(self):
        """What it noted of the plugin's end."""
        assert self.process.wait(20) == 0
        assert not is_locked(self.bundle / "lock")
        return json.loads((self.bundle / "exit").read_text())

    def lines(self):
        files = [self.logs / "previous", self.logs / "current"]
        return [json.loads(line) for file in files if file.exists() for line in file.read_text().splitlines()]

    def messages(self, stream):
        return [line["Message"] for line in self.lines() if line["Stream"] == stream]

    def clean(self):
        subprocess.run([RUNC, "--root", self.state, "delete", "--force", self.id], capture_output=True, check=False)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        for parent in map(pathlib.Path, glob.glob("/sys/fs/cgroup/brokerd-test") + glob.glob("/sys/fs/cgroup/*/brokerd-test")):
            for cgroup in (parent / self.id, parent):
                if cgroup.is_dir() and not [entry for entry in cgroup.iterdir() if entry.is_dir()]:
                    wait_until(lambda path=cgroup: not (path / "cgroup.procs").read_text(), "empty cgroup")
                    cgroup.rmdir()


@pytest.fixture
def rootfs(tmp_path):
    root = tmp_path / "rootfs"
    for directory in ("bin", "proc", "dev"):
        (root / directory).mkdir(parents=True)
    shutil.copy2("/bin/busybox", root / "bin" / "busybox")
    for applet in ("sh", "sleep"):
        (root / "bin" / applet).symlink_to("busybox")
    foreign = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + b"\x02\0\xb7\0\x01" + b"\0" * 2000  # for arm64
    for name, content in {"foreign": foreign, "script": b"#!/no/interpreter\n"}.items():
        (root / name).write_bytes(content)
        (root / name).chmod(0o755)
    (root / "data").write_text("no program")
    return root


@pytest.fixture
def shim(tmp_path, rootfs):
    started = []

    def start(*args, **more):
        place = tmp_path / f"{tmp_path.name[-20:]}-{len(started)}"
        place.mkdir()
        started.append(Shim(place, rootfs, list(args), **more))
        return started[-1]

    yield start
    for one in started:
        one.clean()


def test_streams_and_status(shim):
    plugin = shim("sh", "-c", "echo out; echo err >&2; printf 'cannot open /dev/fuse' >&2; exit 7")
    assert plugin.end().items() >= {"Kind": "exited", "Status": 7, "OutOfMemory": False,
                                    "LastWords": "cannot open /dev/fuse"}.items()
    assert plugin.messages("stdout") == ["out"] and plugin.messages("stderr") == ["err", "cannot open /dev/fuse"]
    running = json.loads((plugin.bundle / "running").read_text())
    assert running["ShimPid"] == plugin.process.pid
    assert {key: running[key] for key in ("Pid", "PidStart")} == plugin.report


def test_it_lives_with_its_plugin(shim):
    plugin = shim("sh", "-c", "echo up; exec sleep 1000")
    wait_until(lambda: plugin.messages("stdout") == ["up"], "line")
    assert is_locked(plugin.bundle / "lock")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        plugin.process.send_signal(number)
    assert pathlib.Path(f"/proc/{plugin.process.pid}/comm").read_text() == "brokerd-shim\n"
    assert {os.readlink(f"/proc/{plugin.process.pid}/fd/{fd}") for fd in range(3)} == {"/dev/null"}
    # The plugin has nothing of the shim's: neither the lock nor a pipe besides its own two.
    open_files = [os.readlink(entry) for entry in pathlib.Path(f"/proc/{plugin.report['Pid']}/fd").iterdir()]
    assert len(open_files) == 3 and not any("lock" in file for file in open_files)
    os.kill(plugin.report["Pid"], signal.SIGKILL)
    assert plugin.end().items() >= {"Kind": "killed", "Status": signal.SIGKILL, "OutOfMemory": False}.items()


@pytest.mark.parametrize("program, reason", [
    ("/nope", "its entrypoint /nope is not in its rootfs"),
    ("nope", "its entrypoint nope is not in its rootfs"),
    ("/data", "its entrypoint /data is not an executable file")])
def test_what_cannot_start_is_told(shim, program, reason):
    plugin = shim(program)
    assert plugin.report["Error"].startswith(reason + " (runc: ")
    assert plugin.process.wait(20) == 1
    assert not (plugin.bundle / "running").exists() and not (plugin.bundle / "exit").exists()


@pytest.mark.parametrize("program, reason", [
    ("/foreign", "its program /foreign is for another architecture than this host's"),
    ("/script", "its program /script needs an interpreter or loader that is not in its rootfs")])
def test_what_cannot_be_executed_is_told_at_its_end(shim, program, reason):
    # The OCI runtime has reported success by then.
    end = shim(program).end()
    assert (end["Kind"], end["Status"]) == ("exited", 1) and end["LastWords"].startswith(reason)


def test_missing_and_lying_runtimes(shim, tmp_path):
    assert "cannot run the OCI runtime /no/runc" in shim("sh", runtime="/no/runc").report["Error"]
    liar = tmp_path / "liar"
    for script, expected in (("exit 0", "does not tell its process"), ("echo 1 > \"${12}\"", "does not tell its process"),
                             ("echo no space >&2; exit 3", "liar could not start it: no space"),
                             ("kill -9 $$", "was killed by signal 9 and said nothing")):
        liar.write_text(f"#!/bin/sh\n{script}\n")
        liar.chmod(0o755)
        assert expected in shim("sh", runtime=str(liar)).report["Error"]


def test_a_flood_neither_blocks_nor_fills_the_disk(shim):
    plugin = shim("sh", "-c", "i=0; while [ $i -lt 100000 ]; do echo line $i; i=$((i+1)); done; echo done >&2")
    assert plugin.end()["LastWords"] == "done"
    assert sum(file.stat().st_size for file in plugin.logs.iterdir()) <= 2 << 20
    kept = plugin.messages("stdout")
    assert kept == sorted(kept, key=lambda line: int(line.split()[1]))
    assert "messages were suppressed" in plugin.messages("brokerd")[-1]


def test_closed_streams_are_no_end(shim):
    plugin = shim("sh", "-c", "exec 2>&-; echo one; exec >&-; exec sleep 1000")
    wait_until(lambda: plugin.messages("stdout") == ["one"], "line")
    ticks = lambda: sum(map(int, pathlib.Path(f"/proc/{plugin.process.pid}/stat").read_text().split()[13:15]))
    before = ticks()
    wait_until(lambda: not any("pipe" in os.readlink(fd) for fd in
                               pathlib.Path(f"/proc/{plugin.process.pid}/fd").iterdir()), "end of the pipes")
    assert ticks() - before < 20, "it spins on closed pipes"
    os.kill(plugin.report["Pid"], signal.SIGKILL)
    assert plugin.end()["Kind"] == "killed"


def test_others_that_hold_the_streams_are_not_waited_for(shim):
    # With the host's processes in sight, nobody ends the plugin's other processes with its first one.
    plugin = shim("sh", "-c", "sleep 1000 & sh -c 'echo orphan; sleep 0' & echo first; exit 5",
                  namespaces=("ipc", "uts", "mount"))
    assert plugin.end().items() >= {"Kind": "exited", "Status": 5}.items()
    assert "first" in plugin.messages("stdout")


def test_memory_that_is_used_up(shim):
    plugin = shim("sh", "-c", "a=x; while :; do a=$a$a; done", resources={"memory": {"limit": 16 << 20}})
    assert plugin.end().items() >= {"Kind": "killed", "Status": signal.SIGKILL, "OutOfMemory": True}.items()


def test_a_killed_shim_frees_its_lock_and_leaves_the_plugin(shim):
    plugin = shim("sleep", "1000")
    plugin.process.kill()
    plugin.process.wait(10)
    assert not is_locked(plugin.bundle / "lock") and not (plugin.bundle / "exit").exists()
    assert pathlib.Path(f"/proc/{plugin.report['Pid']}").exists()


@pytest.mark.skipif(bool(SANITIZERS), reason="sanitizers have memory of their own")
def test_its_memory_is_small(shim):
    plugin = shim("sleep", "1000")
    rollup = pathlib.Path(f"/proc/{plugin.process.pid}/smaps_rollup").read_text()
    private = sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_"))
    assert private < 2048, rollup
