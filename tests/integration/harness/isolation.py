"""Puts the test process into mount and network namespaces of its own.

Docker's plugin directories are hard-coded, and dockerd writes to /etc, /run and /var/lib. Here these are private: /run is
an empty tmpfs, /etc and /var/lib are overlays whose changes vanish, and the network is a loopback interface that nobody
else uses. Everything that the tests start lives in the same namespaces, so a volume that a plugin mounts is seen by the
engine; nothing of it reaches the host.
"""

import ctypes
import fcntl
import glob
import os
import signal
import socket
import struct
import subprocess

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
SIOCSIFFLAGS = 0x8914
IFF_UP_RUNNING = 0x1 | 0x40

ENGINE_SOCKETS = "/run/docker/plugins"  # where dockerd looks, whatever its flags are
ENGINE_SPECS = "/etc/docker/plugins"
RUNTIME = "/run/brokerd"  # a runtime root on the same file system as ENGINE_SOCKETS, as on a real host

_libc = ctypes.CDLL(None, use_errno=True)
_entered = False
_outside = ()  # descriptors of the network and mount namespaces that we came from
_foreign_groups = set()  # control groups that were there before us
_lane = None  # a descriptor of this file, locked for as long as we use control groups: others may run beside us


def enter():
    """Idempotent; needs root. Call it before threads are started."""
    global _entered, _outside, _lane
    if _entered:
        return
    _lane = os.open(__file__, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(_lane, fcntl.LOCK_SH)
    _foreign_groups.update(_engine_groups())
    _outside = tuple(os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("net", "mnt"))
    if _libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, "unshare(mount, network): " + os.strerror(error))
    _entered = True
    _mount("--make-rprivate", "/")
    mount_in_memory("/run")
    for path in ("/etc", "/var/lib"):
        upper, work = (f"/run/overlay{path}/{part}" for part in ("upper", "work"))
        os.makedirs(upper)
        os.makedirs(work)
        _mount("-t", "overlay", "-o", f"lowerdir={path},upperdir={upper},workdir={work}", "overlay", path)
    os.makedirs("/run/lock")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP_RUNNING))


def entered():
    """Whether /etc, /run and /var/lib are ours."""
    return _entered


def outside():
    """What to put before a command that is to run in the host's namespaces, with its network and its /run."""
    if not _entered:
        return []
    network, mounts = (f"/proc/{os.getpid()}/fd/{descriptor}" for descriptor in _outside)
    return ["nsenter", f"--net={network}", f"--mount={mounts}", "--"]


def leave():
    """Removes the one thing that engines leave outside the namespaces: empty control groups. Of several runs side by side, the
    last one does: a group that is empty may be one that another run is about to use."""
    if not _entered:
        return
    try:
        fcntl.flock(_lane, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    for top in set(_engine_groups()) - _foreign_groups:
        for path, _directories, _files in os.walk(top, topdown=False):
            try:
                os.rmdir(path)
            except OSError:
                pass  # still in use


def _engine_groups():
    return [path for name in ("docker", "libpod_parent", "brokerd") for path in (*glob.glob(f"/sys/fs/cgroup/{name}"), *glob.glob(f"/sys/fs/cgroup/*/{name}"))]


def _mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def mount_in_memory(directory):
    """A file system without a disk; unmount_below() is its end."""
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(directory))


def mount_over(source, directory):
    """From now on `source` is what we, and all that we start, see at `directory`."""
    _mount("--bind", str(source), str(directory))


def die_with_parent():
    """For preexec_fn: the kernel ends the child if the test process is killed."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def unmount_below(directory):
    """Detaches every mount below `directory`, so that removing it cannot reach through one."""
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:
        points = [line.split()[1].encode().decode("unicode_escape") for line in mounts]
    for point in reversed(points):
        if point.startswith(directory + "/"):
            subprocess.run(["umount", "--lazy", point], check=False)
