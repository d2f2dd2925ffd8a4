"""brokerd killed in the midst of enable, disable and rm: the next one makes what runs agree with what is stored.

BROKERD_KILLS says how many kills there are in all, as for test_managed_crashes.py."""

import contextlib
import os
import random
import shutil
import subprocess
import time

import pytest
from harness.agreement import Agreement
from harness.remains import assert_nothing_left, assert_state_clean
from harness.running import make_sample
from harness.waiting import wait_until

KILLS = int(os.environ.get("BROKERD_KILLS", "10"))
NAMES = [f"crash/{letter}:latest" for letter in "abc"]
#: What is done to a plugin that is enabled, disabled or not there, and what is stored once that has succeeded.
CHOICES = {True: [("disable", False), ("rm -f", None)], False: [("enable", True), ("enable", True), ("rm", None)], None: [("create", False)]}


class Host:
    """Three plugins, and the operations on them that are under way."""

    def __init__(self, broker, image):
        self.broker = broker
        self.image = image
        self.agreement = Agreement(broker)
        self.remains = self.agreement.remains

    def stored(self):
        """Whether each plugin is enabled; None where there is none."""
        found = {plugin["Name"]: plugin["Enabled"] for plugin in self.broker.get("/plugins", timeout=30).json()}
        return {name: found.get(name) for name in NAMES}

    def begin(self, name, operation):
        arguments = [*operation.split(), name] + ([self.image] if operation == "create" else [])
        return self.broker.begin(*arguments)


@pytest.fixture
def host(broker, directory):
    broker = broker().start()
    found = Host(broker, make_sample(directory / "image", config={"propagatedMount": "/data"}))
    for name in NAMES:
        assert found.begin(name, "create").wait(60) == 0
    return found


def test_killed_while_plugins_start_end_and_go(host):
    chance = random.Random(7)
    done = 0
    for number in range(KILLS):
        before = host.stored()
        host.remains.note()
        chosen = {name: chance.choice(CHOICES[enabled]) for name, enabled in before.items()}
        clients = {name: host.begin(name, operation) for name, (operation, _) in chosen.items()}
        until = time.monotonic() + chance.uniform(0, 2)
        with contextlib.suppress(subprocess.TimeoutExpired):
            for client in clients.values():
                client.wait(max(0.0, until - time.monotonic()))
        host.broker.kill()
        ended = {name: client.wait(60) for name, client in clients.items()}
        host.broker.start()
        what = f"kill {number} during {[operation for operation, _ in chosen.values()]}, which ended with {list(ended.values())}"
        after = host.stored()
        for name, status in ended.items():
            assert after[name] in ((chosen[name][1],) if status == 0 else (before[name], chosen[name][1], False)), f"{what}: {name}"
            done += status == 0
        wait_until(lambda: not host.agreement.faults(), lambda: f"all to be as it is stored after {what}: {host.agreement.faults()}", 60)
        assert_state_clean(host.broker)
    print(f"{KILLS} kills, {done} of {3 * KILLS} operations had been told of their end")
    for name, enabled in host.stored().items():
        assert enabled is None or host.begin(name, "rm -f").wait(60) == 0
    wait_until(lambda: not host.remains.all(), lambda: f"nothing to be left: {host.remains.all()}", 30)
    assert_nothing_left(host.remains)
    shutil.rmtree(host.image)
