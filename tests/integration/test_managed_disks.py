"""Disks that are full, read-only or broken: a clear error, and all is as it was before."""

import contextlib
import re
import subprocess

import pytest
from harness.faults import OPERATIONS, World
from harness.journal import Journal
from harness.managed import leftovers, run, state_of, succeed
from harness.plugin_images import make_plugin

REMEDY = re.compile("free (some )?space|remount|writable|quota|kernel's log|look at|see ")


@pytest.fixture
def small_disk(broker, closing):
    """A broker, not started, whose state root is a file system of its own."""
    made = broker(extra=["--live-restore=false"])
    made.state.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=24m,nr_inodes=600,mode=0755", "tmpfs", made.state)
    disk = Disk(made)
    closing.things.insert(closing.things.index(made), disk)  # closed after the broker
    return disk


class Disk:
    """Can be spoiled and mended."""

    def __init__(self, broker):
        self.broker = broker
        self.filler = broker.state / "filler"

    def spoil(self, how):
        if how == "read-only":
            run("mount", "-o", "remount,ro", self.broker.state)
            return
        self.filler.mkdir()
        with contextlib.suppress(OSError):
            if how == "full":
                with open(self.filler / "bytes", "wb", buffering=0) as file:
                    while file.write(bytes(4096)):
                        pass
            for number in range(10_000 if how == "no inodes" else 0):
                (self.filler / str(number)).touch()

    @contextlib.contextmanager
    def spoilt(self, how):
        self.spoil(how)
        try:
            yield
        finally:
            self.mend()

    def mend(self):
        run("mount", "-o", "remount,rw", self.broker.state)
        run("rm", "-rf", self.filler)

    def close(self):
        subprocess.run(["umount", "-l", str(self.broker.state)], check=False, capture_output=True)


def assert_clear(result, state_root):
    """One line that says what failed, where, and what to do."""
    assert result.returncode == 1, f"{result.args}: {result.returncode}\n{result.stdout}{result.stderr}"
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and str(state_root) in lines[0] and REMEDY.search(lines[0]), result.stderr


@pytest.mark.parametrize("how", ["full", "no inodes", "read-only"])
def test_a_disk_that_takes_nothing_more(small_disk, registry, directory, closing, how):
    closing.add(Journal())  # plugins' logs: a file that is open for writing keeps a file system from becoming read-only
    broker = small_disk.broker
    world = closing.add(World(broker.start(), registry, directory, running=True))
    for operation in OPERATIONS:
        before, after = world.states(operation)
        with small_disk.spoilt(how):
            refused = world.do(operation)
            print(f"{how}, {operation}: {refused.stderr.strip()}")
            assert world.state() == before
            assert_clear(refused, broker.state)
        assert leftovers(broker) == []
        world.check(operation, before, after, f"{operation}, {how}")


@pytest.mark.parametrize("how", ["full", "no inodes", "read-only"])
def test_a_start_on_such_a_disk(small_disk, mobyfs, directory, how):
    broker = small_disk.broker.start()
    succeed(broker.pluginctl("create", "acme/one", make_plugin(directory / "p")))
    before = state_of(broker)
    broker.stop()
    small_disk.spoil(how)
    plugin = mobyfs(implements="VolumeDriver")
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    assert state_of(broker) == before
    assert_clear(broker.pluginctl("set", "acme/one", "DEBUG=1"), broker.state)
    small_disk.mend()
    succeed(broker.pluginctl("set", "acme/one", "DEBUG=1"))


@pytest.mark.parametrize("how", ["a file", "below a file", "plugins is a file", "blobs is a file", "nothing, read-only"])
def test_a_state_root_that_cannot_be_used(small_disk, mobyfs, directory, how):
    broker = small_disk.broker
    root = broker.state
    if how == "a file":
        broker.state = directory / "file"
        broker.state.write_text("")
    elif how == "below a file":
        (directory / "file").write_text("")
        broker.state = directory / "file" / "state"
    elif how == "nothing, read-only":
        small_disk.spoil("read-only")
    else:
        (root / how.split()[0]).write_text("kept")
    plugin = mobyfs(implements="VolumeDriver")
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    assert broker.call("mobyfs", "VolumeDriver.List", {}).status == 200
    for command in (["create", "acme/one", make_plugin(directory / "p")], ["install", "--grant-all-permissions", "--disable", "acme/one"],
                    ["set", "acme/one", "A=1"], ["rm", "acme/one"], ["prune", "-f"], ["import", directory], ["save", "-o", directory / "s", "acme/one"]):
        refused = broker.pluginctl(*command)
        assert refused.returncode == 1 and "managed plugins are not available" in refused.stderr, (command, refused)
        assert str(broker.state) in refused.stderr and len(refused.stderr.strip().splitlines()) == 1, refused.stderr
        assert ("Read-only file system" in refused.stderr) == (how == "nothing, read-only"), refused.stderr
    finding, = [finding for finding in broker.findings() if finding["Problem"] == "state-root"]
    assert finding["Severity"] == "error" and str(broker.state) in finding["Cause"] and "restart" in finding["Remedy"]
    told = broker.pluginctl("doctor")
    assert told.returncode == 1 and "error: state-root\n" in told.stdout, told.stdout
    broker.reload()
    assert broker.lookup("mobyfs").status == 200
    broker.stop()
    # Mended, it works.
    small_disk.broker.state = root
    small_disk.mend()
    for name in ("plugins", "blobs"):
        if (root / name).is_file():
            assert (root / name).read_text() == "kept"
            (root / name).unlink()
    broker.start()
    succeed(broker.pluginctl("create", "acme/one", directory / "p"))


def test_two_brokers_share_no_state_root(broker, directory):
    first = broker().start()
    succeed(first.pluginctl("create", "acme/one", make_plugin(directory / "p")))
    before = state_of(first)
    (directory / "second").mkdir()
    second = type(first)(directory / "second")
    second.state = first.state
    problem = second.refuse()
    assert str(first.state) in problem and "another brokerd" in problem and "--state-root" in problem
    assert state_of(first) == before
    first.kill()  # the lock ends with its process
    second.start()
    assert state_of(second) == before
    second.stop()
    second.close()
