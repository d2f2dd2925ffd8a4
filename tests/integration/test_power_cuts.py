"""The power goes in the midst of an operation, or of the start after it: what was acknowledged is there, what was not is as
before or as after, and nothing half written counts. harness/power_cuts.py has how this is done.

BROKERD_CUTS=300: a cut after every third call that changes the state root, in every operation, as many as it says at random
moments in all, and a third as many in starts after cuts. Otherwise there are a few of each."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time

import pytest
from harness.brokerd import Brokerd
from harness.faults import World, traced
from harness.managed import assert_verified, leftovers, run, state_of, succeed
from harness.plugin_images import make_plugin
from harness.power_cuts import Cuts, LoopDisk, after_a_cut, starting, stopping
from harness.registry import Registry
from harness.running import create_sample

CUTS = int(os.environ.get("BROKERD_CUTS", "8"))
LONG = CUTS >= 100
RUNNING = ["enable", "disable"]
OPERATIONS = ["install", "set", "upgrade", "rm", "create", "load", "import", *RUNNING]
STEP = 3
SYNCS = "fsync,fdatasync,syncfs"


def operations(*few):
    """For a test of each operation; in a short run of these."""
    return pytest.mark.parametrize("operation", OPERATIONS if LONG else few)


@pytest.fixture
def disk(directory, closing):
    return closing.add(LoopDisk.make(directory / "disk.img", directory / "state"))


def machine_after_cuts(broker):
    """The same machine, for booted()."""
    directory = broker.directory / "later"
    directory.mkdir()
    return Brokerd(directory, extra=broker.extra)


@contextlib.contextmanager
def booted(machine, image):
    """After a cut that left this image: it is the disk with the state root, and what was in /run is gone. brokerd is not started
    yet, and does not run any more afterwards."""
    with after_a_cut(image, machine.state) as disk:
        for root in (machine.runtime, machine.engine_sockets):
            shutil.rmtree(root, ignore_errors=True)
        machine.engine_sockets.mkdir()
        try:
            yield disk
        finally:
            if machine.process is not None and machine.process.running:
                machine.stop()


class Site:
    """A broker on that disk, the operations, and the same machine after a cut."""

    def __init__(self, disk, broker, registry, closing):
        self.broker = broker.start()
        self.world = World(broker, registry, broker.directory)
        self.cuts = closing.add(Cuts(disk, broker.directory / "cuts"))
        self.later = closing.add(machine_after_cuts(broker))

    def add_what_runs(self):
        """And its operations. The OCI runtime makes places for mounts in a rootfs: from now on they are there, on the disk, too."""
        for name in ("idle", "busy"):
            create_sample(self.broker, name)
            succeed(self.broker.pluginctl("enable", name))
        succeed(self.broker.pluginctl("disable", "idle"))
        run("sync", "-f", self.broker.state)
        self.world.operations.update(enable=(["enable", "idle"], ["disable", "idle"]), disable=(["disable", "busy"], ["enable", "busy"]))

    def verify(self, operation, states, cut):
        """The cut machine starts, with all that was promised. Returns whether the operation had been done."""
        image, acknowledged, what = cut
        with booted(self.later, image):
            self.world.broker = self.later
            try:
                self.later.start()
                assert not acknowledged or state_of(self.later) == states[1], f"{what}: it was acknowledged, and is lost"
                assert_verified(self.later)
                for plugin in self.later.get("/plugins", timeout=30).json():
                    if plugin["Enabled"]:
                        self.later.wait_state(plugin["Name"], "running", 30)
                return self.world.check(operation, *states, what)
            finally:
                self.world.broker = self.broker

    def verify_all(self, operation, states, cuts):
        """Of how many the operation had been done. Plugins of the same names run in one place at a time."""
        self.broker.stop()
        done = sum(self.verify(operation, states, cut) for cut in cuts)
        self.broker.start()
        return done


@pytest.fixture
def site(disk, broker, directory, closing, request):
    made = Site(disk, broker(extra=["--live-restore=false"]), closing.add(Registry(directory)), closing)
    if request.node.callspec.params["operation"] in RUNNING:
        made.add_what_runs()
    return made


def cut_after_calls(site, operation, step):
    """One after each `step` calls of the operation, and one when it has been acknowledged."""
    with stopping(site.broker, site.cuts.every(step, operation)) as follower:
        succeed(site.world.do(operation))
        site.cuts.acknowledged = True
        site.cuts.take(f"{operation}, cut when it was acknowledged, after call {follower.calls}")
    site.cuts.acknowledged = False
    return follower.calls, site.cuts.give()


@operations("upgrade")
def test_a_cut_after_a_call(site, operation):
    states = site.world.states(operation)
    calls, cuts = cut_after_calls(site, operation, STEP if LONG else 40)
    done = site.verify_all(operation, states, cuts)
    print(f"{operation}: {len(cuts)} cuts within {calls} calls, {done} of them after the fact")


@pytest.mark.long
@operations("install")
def test_a_cut_at_any_moment(site, operation):
    chance = random.Random(6)
    states = site.world.states(operation)
    start = time.monotonic()
    succeed(site.world.do(operation))
    taken = time.monotonic() - start
    site.world.undo(operation)
    for number in range(-(-CUTS // len(OPERATIONS)) if LONG else 2):
        delay = chance.uniform(0, taken * 1.1)
        client = site.broker.begin(*site.world.operations[operation][0])
        with contextlib.suppress(subprocess.TimeoutExpired):
            client.wait(delay)
        site.cuts.acknowledged = client.poll() == 0
        site.broker.process.signal(signal.SIGSTOP)
        site.cuts.take(f"{operation}, cut {number} after {delay:.4f} s")
        site.broker.process.signal(signal.SIGCONT)
        assert client.wait(60) == 0
        site.world.undo(operation)
    cuts = site.cuts.give()
    done = site.verify_all(operation, states, cuts)
    print(f"{operation}: {len(cuts)} cuts within {taken * 1.1:.3f} s, {done} of them after the fact")


@pytest.mark.long
@operations("upgrade")
def test_a_cut_in_the_start_after_a_cut(site, closing, operation):
    chance = random.Random(7)
    states = site.world.states(operation)
    _, firsts = cut_after_calls(site, operation, STEP if LONG else 60)
    wanted = -(-CUTS // 3 // len(OPERATIONS)) if LONG else 2
    seconds = []
    site.broker.stop()
    for number, (image, acknowledged, what) in enumerate(chance.sample(firsts, min(len(firsts), wanted))):
        with booted(site.later, image) as disk:
            again = closing.add(Cuts(disk, site.broker.directory / f"again{number}"))
            again.acknowledged = acknowledged
            with starting(site.later, again.every(STEP, f"{what}, and again in the start")):
                pass
        taken = again.give()
        chance.shuffle(taken)
        # A few of each, so that the starts after many different cuts get their share.
        share = -(-(wanted - len(seconds)) // (min(len(firsts), wanted) - number))
        seconds += taken[:share]
        for spare, *_ in taken[share:]:
            spare.unlink()
    done = sum(site.verify(operation, states, cut) for cut in seconds)
    print(f"{operation}: {len(seconds)} cuts in {number + 1} starts after cuts, {done} of them after the fact")
    site.broker.start()


def test_a_cut_in_the_first_start_of_all(disk, broker, directory, closing):
    first = broker()
    later = closing.add(machine_after_cuts(first))
    given = make_plugin(directory / "plugin")
    cuts = closing.add(Cuts(disk, directory / "cuts"))
    with starting(first, cuts.every(1 if LONG else 5, "the first start")) as follower:
        pass
    taken = cuts.give()
    for image, _, what in taken:
        with booted(later, image):
            later.start()
            assert later.get("/plugins").json() == [] and leftovers(later) == [], what
            succeed(later.pluginctl("create", "made", given))
            assert_verified(later)
    print(f"the first start: {len(taken)} cuts within {follower.calls} calls")


# -- The equipment itself

def replace(directory, forgotten):
    """"file" is given other content by the book, but for what is forgotten."""
    with open(directory / "file.new", "wb") as fresh:
        fresh.write(b"new")
        fresh.flush()
        if forgotten != "data":
            os.fsync(fresh.fileno())
    os.rename(directory / "file.new", directory / "file")
    if forgotten != "directory":
        opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(opened)
        os.close(opened)


@pytest.mark.parametrize("forgotten, found", [("data", {"file": b""}), ("directory", {"file": b"old", "file.new": b"new"}), ("", {"file": b"new"})])
def test_the_equipment_shows_what_was_not_synced(disk, directory, forgotten, found):
    place = disk.point / "place"
    place.mkdir()
    (place / "file").write_bytes(b"old")
    run("sync", "-f", place)
    replace(place, forgotten)
    with after_a_cut(disk.cut(directory / "cut.img"), directory / "later"):
        assert {path.name: path.read_bytes() for path in (directory / "later" / "place").iterdir()} == found


@pytest.mark.parametrize("operation, when", [
    ("set", "1+"), pytest.param("set", "1", marks=pytest.mark.long), pytest.param("create", "1+", marks=pytest.mark.long)])
def test_a_broker_that_does_not_sync_is_found_out(site, operation, when):
    """It makes the calls, and they do nothing: all of them, or each thread's first."""
    states = site.world.states(operation)
    with traced(site.broker, SYNCS, f"retval=0:when={when}"):
        succeed(site.world.do(operation))
        site.cuts.acknowledged = True
        site.cuts.take("cut when it was acknowledged")
    with pytest.raises(AssertionError, match="it was acknowledged, and is lost"):
        site.verify_all(operation, states, site.cuts.give())
    site.broker.start()
