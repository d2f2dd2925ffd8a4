"""brokerd in a control group that has little memory: bodies, an archive and heads that are larger than all of it.

Long, because of the archive; BROKERD_LARGE_MIB says how large it is and the bodies are (harness/large.py)."""

import os
import pathlib
import tempfile

import booted
import pytest
from harness import unix_http
from harness.large import LARGE, PIECE, LargeBodies, create, exchange, large_file, large_headed, refused_head, small_file, sparse_file
from harness.waiting import wait_until
from inside import BUILD, PATIENCE, add_plugin, host_pid, inspect, main_pid, wait_running

pytestmark = [pytest.mark.skipif(not os.environ.get("BROKERD_SYSTEM_TESTS"), reason="runs with packaging/test --system"), pytest.mark.long]

LIMIT = 64 << 20
CONTROL = "run/brokerd/control.sock"
PLUGIN = "acme/steady"  # runs meanwhile, in a scope of its own


@pytest.fixture(scope="module")
def machine():
    with tempfile.TemporaryDirectory(prefix="b.", dir="/tmp") as place:
        place = pathlib.Path(place)
        booted.install(BUILD, place)
        drop_in = place / "etc/systemd/system/brokerd.service.d/memory.conf"
        drop_in.parent.mkdir(parents=True)
        drop_in.write_text(f"[Service]\nMemoryMax={LIMIT}\nMemorySwapMax=0\n")
        with booted.Machine(place, on_disk=("brokerd",)) as machine:
            add_plugin(machine, PLUGIN)
            machine.succeed("pluginctl", "enable", PLUGIN)
            yield machine


class Group:
    """What the kernel says of brokerd's memory; files of cgroup v1 or v2."""

    def __init__(self, machine):
        self.pid = main_pid(machine)
        self.path = machine.memory_group(host_pid(machine, self.pid))
        self._v1 = (self.path / "memory.limit_in_bytes").exists()

    def _read(self, name):
        return (self.path / name).read_text(encoding="ascii")

    def _count(self, name, key):
        return next(int(line.split()[1]) for line in self._read(name).splitlines() if line.split()[0] == key)

    def limit(self):
        return int(self._read("memory.limit_in_bytes" if self._v1 else "memory.max"))

    def kills(self):
        return self._count("memory.oom_control" if self._v1 else "memory.events", "oom_kill")

    def reached(self):
        """How often the limit was reached, so that the kernel had to take back what files keep in memory."""
        return int(self._read("memory.failcnt")) if self._v1 else self._count("memory.events", "max")

    def anonymous(self):
        """What is no file's: it cannot be taken back."""
        return self._count("memory.stat", "rss" if self._v1 else "anon")

    def tell(self, what):
        print(f"MemoryMax={LIMIT >> 20}M, {what}: {self.anonymous() >> 10} KiB that no file has, limit reached {self.reached()} times, "
              f"{self.kills()} killed")


@pytest.fixture
def group(machine):
    """The group that has the limit, and has killed nobody when the test is over: not brokerd, no worker, no shim."""
    group = Group(machine)
    assert group.limit() == LIMIT
    yield group
    assert group.kills() == 0
    assert main_pid(machine) == group.pid and machine.show("brokerd.service", "NRestarts") == "0"
    assert machine.succeed("pluginctl", "call", PLUGIN, "VolumeDriver.List", "{}").strip() == '{"Volumes":[],"Err":""}'
    wait_running(machine, PLUGIN)


def define(machine, name):
    """A plugin that listens on /root/NAME.sock; returns its published socket, which waits until it is active."""
    machine.write(f"/etc/docker/plugins/{name}.spec", f"unix:///root/{name}.sock\n")
    published = machine.root / f"run/brokerd/plugins/{name}.sock"
    wait_until(lambda: unix_http.listening(published), f"published socket for {name}", PATIENCE)
    return published


def test_large_bodies(machine, group):
    plugin = LargeBodies(machine.root / "root")
    try:
        path = define(machine, "raw")
        exchange(path, len(PIECE))
        exchange(path)
    finally:
        plugin.close()
    group.tell(f"{LARGE >> 20} MiB each way")


def test_a_large_archive(machine, group):
    """What is written to files counts as brokerd's for as long as it is not on the disk."""
    control = machine.root / CONTROL
    assert create(control, "acme/small", small_file())[0] == 204
    assert create(control, "acme/large", large_file())[0] == 204
    group.tell(f"archive of {LARGE >> 20} MiB")
    rootfs = machine.root / "var/lib/brokerd/plugins" / inspect(machine, "acme/large")["Id"] / "rootfs"
    assert (rootfs / "large").stat().st_size == LARGE
    status, body = create(control, "acme/sparse", sparse_file())
    assert status == 400 and b"1000 times its size" in body, (status, body)
    group.tell(f"sparse file of {4 * LARGE >> 20} MiB, refused")
    machine.succeed("pluginctl", "rm", "acme/large")


def test_large_heads(machine, group):
    plugin = large_headed(machine.root / "root" / "headed.sock")
    try:
        published = define(machine, "headed")
        for path in (published, machine.root / CONTROL):
            for _ in range(10):
                received = refused_head(path)
                assert received.startswith(b"HTTP/1.1 431 "), received[:200]
        for _ in range(10):
            assert unix_http.call(published, "VolumeDriver.List", timeout=60).status == 502
    finally:
        plugin.close()
    group.tell("heads of 3 MiB")
