"""brokerd killed in the midst of an operation: afterwards all is as before it, or as after it.

BROKERD_KILLS says how many kills at random moments there are in all; from 100 on, every system call is a point to be
killed at, too, and not only some of them."""

import contextlib
import os
import random
import subprocess
import time

import pytest
from harness.faults import World, calls_of, traced
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
            client = world.broker.begin(*world.operations[operation][0])
            with contextlib.suppress(subprocess.TimeoutExpired):
                client.wait(delay)
            world.broker.kill()
            client.wait(60)
            world.broker.start()
            done += world.check(operation, before, after, f"{operation}, kill {number} after {delay:.4f} s")
        print(f"{operation}: {KILLS // len(RANDOM)} kills within {taken * 1.1:.3f} s, {done} of them after the fact")


def points_of(world, operation):
    """(call, thread, number) of each moment to be killed at."""
    points = [(call, thread, number) for (call, thread), count in sorted(calls_of(world, operation, CALLS).items(), key=str)
              for number in range(1, count + 1)]
    return points if LONG else points[EXACT.index(operation) % 3::len(points) // 3 + 1]


@pytest.mark.parametrize("operation", EXACT)
def test_killed_on_entering_a_call_that_writes_state(world, operation):
    before, after = world.states(operation)
    points = points_of(world, operation)
    killed = workers = done = 0
    for call, thread, number in points:
        what = f"{operation}, killed on entering {call} {number} of {'some thread' if thread is None else 'the store'}"
        with traced(world.broker, call, f"signal=KILL:when={number}", thread) as tracer:
            result = world.do(operation)
            if result.returncode != 0:  # the broker is dying, or its worker was killed
                with contextlib.suppress(subprocess.TimeoutExpired):
                    world.broker.process.wait(1)
        if world.broker.process.running:  # what the worker did not finish is undone; verified blobs wait for the next start
            assert state_of(world.broker) in (before, after), what
            workers += tracer.hit
            world.broker.stop()
        else:
            killed += 1
        world.broker.start()
        done += world.check(operation, before, after, what)
    print(f"{operation}: killed at {killed} of {len(points)} calls, {done} of them after the fact; {workers} times the worker")
    assert killed + workers >= len(points) // 2
