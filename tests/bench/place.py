"""Where the benches run: as root, in a private directory and mount namespace, with as many descriptors as there may be."""

import contextlib
import datetime
import json
import os
import pathlib
import platform
import resource
import shutil
import subprocess
import sys
import tempfile


def enter_private_mounts():
    """Starts this program again in a mount namespace of its own, so that its tmpfs ends with it."""
    if os.environ.get("BROKERD_BENCH_MOUNTS") != "private":
        os.environ["BROKERD_BENCH_MOUNTS"] = "private"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "/usr/bin/python3", *sys.argv])
    os.umask(0o022)
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def private_place():
    """A directory on disk, with `run` on a tmpfs below it; both vanish."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="b.", dir="/tmp"))  # short: a Unix socket's path holds 107 bytes
    (place / "run").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place / "run")], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place / "run")], check=False)
        shutil.rmtree(place, ignore_errors=True)


def write_json(path, rows, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "cores": os.cpu_count(),
        "kernel": platform.release(), **more, "rows": [row.as_json() for row in rows]}, indent=1) + "\n")
