"""Power cuts without power: a file system in a file, copied at any moment, is what a cut at that moment leaves on the disk.

What a program has written and not synced is in the kernel's memory, above the loop device; the file has only what the file
system has handed to its disk. So the copy lacks what a cut would lose. Two options matter: ext4 usually repairs a
replace-by-rename that forgot to sync (noauto_da_alloc: it must not), and it commits its journal every five seconds
(commit=300: only for those who sync).

BROKERD_CUT_FS=btrfs takes a file system that is stricter: with ext4 each sync takes along all names that were changed before,
with btrfs (its package is btrfs-progs) a sync is for the file or directory alone.
"""

import contextlib
import itertools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

from .faults import traced
from .managed import run
from .waiting import wait_until

KIND = os.environ.get("BROKERD_CUT_FS", "ext4")
#: How one is made (nothing is left to a thread of the kernel that would go on writing after the mount), mounted, and checked.
MEGABYTES, MAKE, OPTIONS, CHECK = {
    "ext4": (64, ["mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096", "-J", "size=4", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"],
             "loop,noauto_da_alloc,commit=300,noatime", ["fsck.ext4", "-fn"]),
    "btrfs": (300, ["mkfs.btrfs", "-q", "-m", "single"], "loop,commit=300,noatime", ["btrfs", "check", "--readonly"]),
}[KIND]
#: What changes a state root. Not write(2): what was written is lost or there by what was synced after it.
CALLS = ("rename,renameat,renameat2,fsync,fdatasync,syncfs,mkdir,mkdirat,unlink,unlinkat,rmdir,link,linkat,symlink,symlinkat,"
         "ftruncate,fchmod,fchmodat,chmod,lchown,fchown,fchownat,mknod,mknodat,sync_file_range")


class LoopDisk:
    """A file system in a file, mounted at `point`."""

    def __init__(self, image, point):
        self.image = pathlib.Path(image)
        self.point = pathlib.Path(point)
        self.point.mkdir(parents=True, exist_ok=True)
        self._mount()

    @classmethod
    def make(cls, image, point):
        """A new one; where files cannot be mounted, the test is skipped."""
        with open(image, "wb") as file:
            file.truncate(MEGABYTES << 20)
        run(*MAKE, image)
        try:
            return cls(image, point)
        except AssertionError as refusal:
            if not os.path.exists("/dev/loop-control") or "loop device" in str(refusal) or "permi" in str(refusal).lower():
                pytest.skip(f"this machine mounts no files: {str(refusal).splitlines()[-1]}")
            raise

    def _mount(self):
        run("mount", "-t", KIND, "-o", OPTIONS, self.image, self.point)
        device = pathlib.Path(run("findmnt", "-n", "-o", "SOURCE", "--mountpoint", self.point).strip()).resolve()
        self._statistics = pathlib.Path("/sys/block") / device.name / "stat"

    def _writes(self):
        """How many writes and flushes have reached the file since the mount, once none is on its way."""
        def settled():
            fields = self._statistics.read_text(encoding="ascii").split()
            return fields if fields[8] == "0" else None
        fields = wait_until(settled, "moment at which nothing is being written", 60, pause=0.0005)
        return fields[4], fields[15] if len(fields) > 15 else None

    def cut(self, image):
        """Writes to `image` what a cut of the power at one moment of this call leaves."""
        for _ in range(1000):
            before = self._writes()
            run("cp", "--sparse=always", "--reflink=auto", self.image, image)
            if self._writes() == before:  # nothing has changed while it was copied
                return pathlib.Path(image)
        raise AssertionError("the disk was never quiet for as long as a copy takes")

    def fsck(self):
        """After the journal has been replayed, which the mount has done, the file system must be without a fault."""
        run("umount", self.point)
        run(*CHECK, self.image)
        self._mount()

    def close(self):
        if os.path.ismount(self.point):
            ended = subprocess.run(["umount", str(self.point)], capture_output=True, text=True, check=False)
            if ended.returncode != 0:  # somebody is still in it; the loop device ends with the last of them
                run("umount", "--lazy", self.point)


@contextlib.contextmanager
def after_a_cut(image, point):
    """The disk as the next boot finds it; the image is gone afterwards."""
    disk = LoopDisk(image, point)
    try:
        disk.fsck()
        yield disk
    finally:
        disk.close()
        pathlib.Path(image).unlink()


def wake(process):
    """Whoever was stopped by a tracer that has gone, of this process and what it has started."""
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{process}/task"):
            for child in pathlib.Path(f"/proc/{process}/task/{task}/children").read_text(encoding="ascii").split():
                wake(int(child))
        os.kill(process, signal.SIGCONT)


class Follower:
    """Reads strace's log while it is written. At each call it was told to stop at, the process stands still until `at_stop`
    (called with how many calls there were, and the last one) has returned."""

    def __init__(self, log, at_stop):
        self.calls = 0
        self._log = pathlib.Path(log)
        self._at_stop = at_stop
        self._last = ""
        self._tasks = set()  # of whom a call was counted
        self._ending = threading.Event()
        self._error = None
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self):
        try:
            while not self._log.exists():
                if self._ending.wait(0.002):
                    return
            rest, quiet = "", 0
            with open(self._log, encoding="utf-8", errors="replace") as log:
                while True:
                    ending = self._ending.is_set()
                    rest += log.read()
                    *lines, rest = rest.split("\n")
                    for line in lines:
                        self._take(line)
                    if ending:
                        return
                    if not lines:
                        time.sleep(0.001)
                    quiet = 0 if lines else quiet + 1
                    if quiet % 500 == 499:
                        self._wake()  # whoever stopped at the very moment at which another thread's word had let all go on
        except Exception as error:  # is told by end(); the tracer must not wait for us for ever
            self._error = error

    def _take(self, line):
        task, _, what = line.partition(" ")
        if called := re.match(r" *(\w+)\(|.*<\.\.\. (\w+) resumed", what):
            self._last = called[1] or called[2]
        elif "--- SIGSTOP {" in what:
            self.calls += 1
            self._tasks.add(int(task))
        elif "--- stopped by SIGSTOP ---" in what:
            try:
                self._at_stop(self.calls, self._last)
            finally:
                # Each thread says that it has stopped: the first one's word lets all go on, the others' do no harm.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(task), signal.SIGCONT)

    def _wake(self):
        for task in self._tasks:
            with contextlib.suppress(ProcessLookupError):
                os.kill(task, signal.SIGCONT)

    def end(self):
        self._ending.set()
        self._thread.join(60)
        if self._error is not None:
            raise self._error


@contextlib.contextmanager
def stopping(broker, at_stop):
    """`at_stop` is called after each call of the running broker, and of what it starts, that changes the state root."""
    process = broker.process.pid
    log = broker.directory / "strace.log"
    log.unlink(missing_ok=True)
    follower = Follower(log, at_stop)
    try:
        with traced(broker, CALLS, "signal=STOP"):
            yield follower
    finally:
        wake(process)
        follower.end()


@contextlib.contextmanager
def starting(broker, at_stop):
    """Starts the broker; the same for what it does before it is ready. It is stopped again."""
    log = broker.directory / "start.log"
    log.unlink(missing_ok=True)
    follower = Follower(log, at_stop)
    # -D: the broker is our child, and strace its grandchild.
    broker.prefix = ["strace", "-D", "-f", "-qq", "-o", log, "-e", f"trace={CALLS}", "-e", f"inject={CALLS}:signal=STOP"]
    try:
        broker.start(ready=60)
        yield follower
    finally:
        broker.prefix = []
        if broker.process is not None and broker.process.running:
            broker.stop()
        follower.end()


class Cuts:
    """Images of a disk after a cut, and what had been acknowledged by then."""

    def __init__(self, disk, directory):
        self.disk = disk
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.acknowledged = False
        self._taken = []
        self._numbers = itertools.count()

    def take(self, what):
        done = self.acknowledged  # before the copy: what is told while it is made may be in it, or not
        self._taken.append((self.disk.cut(self.directory / f"{next(self._numbers)}.img"), done, what))

    def every(self, step, what):
        """For stopping() and starting(): takes one after each `step` calls."""
        def at_stop(count, call):
            nonlocal taken
            if count // step > taken:
                taken = count // step
                self.take(f"{what}, after call {count} ({call})")
        taken = 0
        return at_stop

    def give(self):
        """(image, whether the operation had been acknowledged, when it was) of each since the last time. The images are the
        caller's to remove, as after_a_cut() does."""
        taken, self._taken = self._taken, []
        return taken

    def close(self):
        shutil.rmtree(self.directory)
