"""brokerd killed in the midst of an operation: afterwards all is as before it, or as after it.

BROKERD_KILLS says how many kills at random moments there are in all; from 100 on, every system call is a point to be
killed at, too, and not only some of them."""

import contextlib
import os
import random
import subprocess
import time

import pytest
from harness.faults import World, store_thread, traced
from harness.managed import state_of
from harness.registry import Registry

KILLS = int(os.environ.get("BROKERD_KILLS", "10"))
LONG = KILLS >= 100
RANDOM = ["install", "set", "upgrade", "rm", "load"]
EXACT = ["install", "set", "upgrade", "rm", "create", "load", "import"]
#: What changes the state root.
CALLS = "rename,renameat,renameat2,fsync,fdatasync,syncfs,mkdir,mkdirat,unlink,unlinkat,link,linkat,ftruncate,fchmod,sync_file_range"


@pytest.fixture
def world(broker, directory, closing):
    return World(broker().start(), closing.add(Registry(directory)), directory)


def seconds_of(world, operation):
    """How long the operation takes, at best."""
    times = []
    for _ in range(2):
        start = time.monotonic()
        assert world.do(operation).returncode == 0
        times.append(time.monotonic() - start)
        world.undo(operation)
    return min(times)


def test_killed_at_any_moment(world):
    chance = random.Random(4)
    for operation in RANDOM:
        before, after = world.states(operation)
        taken = seconds_of(world, operation)
        done = 0
        for number in range(KILLS // len(RANDOM)):
            delay = chance.uniform(0, taken * 1.1)
            client = subprocess.Popen([str(part) for part in world.broker.pluginctl_command(*world.operations[operation][0])],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                client.wait(delay)
            world.broker.kill()
            client.wait(60)
            world.broker.start()
            done += world.check(operation, before, after, f"{operation}, kill {number} after {delay:.4f} s")
        print(f"{operation}: {KILLS // len(RANDOM)} kills within {taken * 1.1:.3f} s, {done} of them after the fact")


def kill_at_each_call(world, operation, before, after, thread, step):
    """Every `step`-th call of each thread, or of one; returns how often something was killed."""
    points = 0
    for number in range(1, 1000, step):
        what = f"{operation}, killed at call {number} of {'any thread' if thread is None else 'the store'}"
        with traced(world.broker, CALLS, f"signal=KILL:when={number}", thread) as tracer:
            result = world.do(operation)
            if result.returncode != 0 and world.broker.process.running:  # a worker was killed, or the broker is dying
                with contextlib.suppress(subprocess.TimeoutExpired):
                    world.broker.process.wait(1)
        if not tracer.hit:
            assert result.returncode == 0, f"{what}: {result.stderr}"
            assert state_of(world.broker) == after
            world.undo(operation)
            return points
        points += 1
        if not world.broker.process.running:
            world.broker.start()
        world.check(operation, before, after, what)
    raise AssertionError(f"{operation} does not end")


@pytest.mark.parametrize("operation", EXACT)
def test_killed_on_entering_a_call_that_writes_state(world, operation):
    before, after = world.states(operation)
    store = store_thread(world)
    points = [kill_at_each_call(world, operation, before, after, thread, 1 if LONG else 8) for thread in (None, store)]
    print(f"{operation}: killed at {points[0]} calls of any thread, at {points[1]} of the store's")
    assert sum(points) >= (10 if LONG else 2)
