"""Fifty plugins: enabled at once, killed at random, started at boot. All come back by themselves, and nothing is left over.

BROKERD_CHAOS_SECONDS says for how long they are killed (ten seconds); the plugins' pauses between restarts grow with each
end, so no plugin is killed more often than six times."""

import collections
import concurrent.futures
import contextlib
import json
import os
import pathlib
import random
import signal
import threading
import time

import pytest
from harness.managed import succeed
from harness.remains import Figures, Remains, assert_nothing_left, assert_state_clean
from harness.running import SAMPLE, make_sample
from harness.waiting import wait_until

CHAOS = float(os.environ.get("BROKERD_CHAOS_SECONDS", "10"))
COUNT = 50
MOST_KILLS = 6
#: For all of them to do something, on a machine that does other things as well.
PATIENCE = 180
NAMES = [f"acme/p{number}" for number in range(COUNT)]
#: With a propagated mount, so that there is something on the host to be left behind.
CONFIG = {"propagatedMount": "/data", "linux": {"capabilities": ["CAP_SYS_ADMIN"]}}

pytestmark = pytest.mark.slow


def side_by_side(work, things=tuple(NAMES)):
    with concurrent.futures.ThreadPoolExecutor(len(things)) as pool:
        return list(pool.map(work, things))


def states(broker):
    return collections.Counter(plugin["State"] for plugin in broker.plugins().values())


def wait_states(broker, state):
    wait_until(lambda: states(broker) == {state: COUNT}, lambda: f"{COUNT} plugins {state}: {states(broker)}", PATIENCE, 0.1)


def create_all(broker, behaviour=""):
    image = make_sample(broker.directory / "image", behaviour, CONFIG)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for created in pool.map(lambda name: broker.pluginctl("create", name, image, timeout=PATIENCE), NAMES):
            succeed(created)


def enable_all(broker):
    for enabled in side_by_side(lambda name: broker.pluginctl("enable", "--timeout", PATIENCE, name, timeout=PATIENCE)):
        succeed(enabled)
    wait_states(broker, "running")


def call_all(broker):
    """One call to each, from everybody at once."""
    assert {reply.status for reply in side_by_side(lambda name: broker.call(name, "VolumeDriver.List", timeout=PATIENCE))} == {200}


class Killer:
    """Ends plugins and shims, by a descriptor of a process that has been looked at and not by a mere number."""

    def __init__(self, broker, ids):
        self.broker = broker
        self.ids = ids  # by name
        self.kills = collections.Counter()
        self.kinds = collections.Counter()
        self.random = random.Random(50)

    def strike(self):
        """Kills one of a random plugin's two processes if it runs; whether it did."""
        name = self.random.choice([name for name in self.ids if self.kills[name] < MOST_KILLS])
        kind = self.random.choice(["Pid", "Pid", "Pid", "ShimPid"])
        try:
            running = json.loads((self.broker.runtime / "bundles" / self.ids[name] / "running").read_text())
            process = os.pidfd_open(running[kind])
        except (OSError, ValueError):
            return False
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, process)
            about = pathlib.Path(f"/proc/{running[kind]}")
            try:
                if self.ids[name] not in (about / "cgroup").read_text() + (about / "cmdline").read_text():
                    return False
                signal.pidfd_send_signal(process, signal.SIGKILL)
            except OSError:
                return False
        self.kills[name] += 1
        self.kinds["plugins" if kind == "Pid" else "shims"] += 1
        return True

    def rage(self, seconds):
        """As evenly over the time as the plugins' limits allow."""
        pause = max(0.02, seconds / (COUNT * MOST_KILLS))
        end = time.monotonic() + seconds
        while time.monotonic() < end and sum(self.kills.values()) < COUNT * MOST_KILLS:
            self.strike()
            time.sleep(pause)


class Callers:
    """Call random plugins all the time; of each plugin only one of them, so that no second connection to it is made."""

    def __init__(self, broker, count):
        self.replies = collections.Counter()
        self.strange = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(broker, NAMES[number::count])) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self, broker, names):
        chance = random.Random(names[0])
        while not self._stop.is_set():
            name = chance.choice(names)
            try:
                reply = broker.call(name, "VolumeDriver.List", timeout=PATIENCE)
            except OSError as error:
                self.strange.append(f"{name}: {error!r}")
                continue
            self.replies[reply.status] += 1
            if reply.status not in (200, 502) or (reply.status == 502 and name not in reply.error):
                self.strange.append(f"{name}: {reply!r}")

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def crowded(broker):
    assert SAMPLE.exists(), f"{SAMPLE} does not exist"
    broker = broker(extra=["--live-restore=false"], timeout=30).start()
    yield broker
    if broker.process.running:
        side_by_side(lambda name: broker.pluginctl("disable", "-f", name, timeout=PATIENCE))


def test_fifty_enabled_at_once_and_killed_at_random_all_come_back(crowded):
    remains = Remains(crowded)
    create_all(crowded)
    remains.note()
    ids = {name: crowded.plugin(name)["Id"] for name in NAMES}
    idle = Figures(crowded, remains)
    enable_all(crowded)
    call_all(crowded)
    before = Figures(crowded, remains)
    # A process and its shim; the root file system, and the one that the socket is in.
    assert before.processes == 2 * COUNT and len(set(before.mounts)) == len(before.mounts) == 2 * COUNT, before
    before.descriptors += COUNT  # the health probe keeps a connection to each, and makes it some time later

    callers, killer = Callers(crowded, 4), Killer(crowded, ids)
    killer.rage(CHAOS)
    callers.stop()
    wait_states(crowded, "running")
    call_all(crowded)
    kills = sum(killer.kills.values())
    restarts = sum(plugin["Restarts"] for plugin in crowded.plugins().values())
    print(f"\n{COUNT} plugins for {CHAOS:g} s: {killer.kinds['plugins']} plugins and {killer.kinds['shims']} shims killed, {restarts} "
          f"restarts; {sum(callers.replies.values())} calls meanwhile, by status {dict(callers.replies)}")
    assert callers.strange == []
    assert 0 < restarts <= kills, "somebody ended whom nobody killed"  # less where both of a plugin's processes were hit
    assert {plugin["Enabled"] for plugin in crowded.plugins().values()} == {True}
    wait_until(lambda: not Figures(crowded, remains).more_than(before),
               lambda: f"what it was: {Figures(crowded, remains).more_than(before)}", 60, 0.2)
    print(f"before: {before}\nafter:  {Figures(crowded, remains)}")

    for disabled in side_by_side(lambda name: crowded.pluginctl("disable", name, timeout=PATIENCE)):
        succeed(disabled)
    assert_nothing_left(remains)
    wait_until(lambda: not Figures(crowded, remains).more_than(idle),
               lambda: f"what it was: {Figures(crowded, remains).more_than(idle)}", 60, 0.2)
    for removed in side_by_side(lambda name: crowded.pluginctl("rm", name, timeout=PATIENCE)):
        succeed(removed)
    assert_state_clean(crowded)


def test_brokerd_is_ready_while_its_plugins_still_start(crowded):
    """None turns disabled because it is slow, and who calls one meanwhile waits for it."""
    create_all(crowded, "slow=1500")
    enable_all(crowded)
    crowded.stop()
    said = len(crowded.process.output())
    crowded.start()
    assert {plugin["Enabled"] for plugin in crowded.plugins().values()} == {True}
    call_all(crowded)
    wait_states(crowded, "running")
    lines = crowded.process.output()[said:].splitlines()
    ready = next(number for number, line in enumerate(lines) if "is ready" in line)
    assert not any(line.endswith("is running") for line in lines[:ready]), lines[:ready]
    assert not any("is disabled" in line for line in lines), lines
    assert {plugin["Restarts"] for plugin in crowded.plugins().values()} == {0}
