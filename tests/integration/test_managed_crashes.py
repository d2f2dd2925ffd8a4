"""brokerd killed in the midst of an operation: afterwards all is as before it, or as after it.

BROKERD_KILLS says how many kills there are in all at random moments, as many again on entering a call that changes the
host, and a quarter of that, in addition, while the next brokerd recovers from one."""

import contextlib
import itertools
import os
import random
import subprocess
import time

import pytest
from harness.failing_calls import OPENS, WRITES, FailingCalls
from harness.faults import OPERATIONS as SIMPLE
from harness.faults import RUNNING, World, start_disturbed
from harness.managed import succeed
from harness.registry import Registry
from harness.waiting import wait_until

KILLS = int(os.environ.get("BROKERD_KILLS", "9"))
OPERATIONS = [*SIMPLE, "import"]
#: Of each operation, rounded up.
SHARE = -(-KILLS // len(OPERATIONS))
COMPOUND = -(-KILLS // (4 * len(OPERATIONS)))
#: In a long run each operation has a broker of its own; to make one, with what it has installed, takes a while.
GROUPS = [[operation] for operation in OPERATIONS] if KILLS >= 100 else [sorted(set(OPERATIONS) - set(RUNNING)), RUNNING]
KINDS = WRITES | OPENS


@pytest.fixture
def calls(directory):
    return FailingCalls(directory)


@pytest.fixture
def make_world(broker, directory, closing, calls):
    def make(operations, files):
        started = broker(environment=calls.environment, extra=["--live-restore=false"]).start()
        running = not set(operations).isdisjoint(RUNNING)
        return closing.add(World(started, closing.add(Registry(directory)), directory, files, running))
    return make


def seconds_of(world, operation):
    """How long the operation takes, at best."""
    times = []
    for _ in range(2):
        start = time.monotonic()
        assert world.do(operation).returncode == 0
        times.append(time.monotonic() - start)
        world.undo(operation)
    return min(times)


@pytest.mark.parametrize("operations", GROUPS, ids="-".join)
def test_killed_at_any_moment(make_world, operations):
    world = make_world(operations, files=20)
    for operation in operations:
        kill_at_any_moment(world, operation)


def kill_at_any_moment(world, operation):
    chance = random.Random(4)
    before, after = world.states(operation)
    taken = seconds_of(world, operation)
    done = 0
    for number in range(SHARE):
        delay = chance.uniform(0, taken * 1.1)
        client = world.broker.begin(*world.operations[operation][0])
        with contextlib.suppress(subprocess.TimeoutExpired):
            client.wait(delay)
        world.broker.kill()
        client.wait(60)
        done += recovered(world, operation, before, after, f"{operation}, kill {number} after {delay:.4f} s")
    print(f"{operation}: {SHARE} kills within {taken * 1.1:.3f} s, {done} of them after the fact")


def recovered(world, operation, before, after, what):
    """Starts it again, clean; returns whether the operation had been done."""
    world.broker.start()
    return world.check(operation, before, after, what)


def numbered(world, calls, operation):
    """How many calls of the operation change the host."""
    with calls.counting(KINDS):
        succeed(world.do(operation))
    made = calls.made
    world.undo(operation)
    return made


def doomed(world, calls, operation, number, victim):
    """Does it until that call, which kills the broker, or the worker or shim that makes it; whether it was made."""
    broker = world.broker
    with calls.killing(KINDS, number, victim):
        client = broker.begin(*world.operations[operation][0])
        wait_until(lambda: calls.disturbed or client.poll() is not None, f"end of {operation}", 60)
        if calls.disturbed and victim:
            broker.kill()
        result = client.wait(60)
    if calls.disturbed and calls.hits()[0].pid == broker.process.pid:
        broker.process.wait(20)
    if not calls.disturbed:  # that call has not been made this time
        assert result == 0
        world.undo(operation)
    return calls.disturbed > 0


@pytest.mark.parametrize("operations", GROUPS, ids="-".join)
def test_killed_on_entering_a_call(make_world, calls, operations):
    world = make_world(operations, files=2)
    for operation in operations:
        kill_on_entering_a_call(world, calls, operation)


def kill_on_entering_a_call(world, calls, operation):
    broker = world.broker
    before, after = world.states(operation)
    numbers = list(range(1, numbered(world, calls, operation) + 1))
    points = [(number, broker_dies) for number in numbers for broker_dies in (True, False)]
    random.Random(5).shuffle(points)
    killed = spared = done = 0
    for number, broker_dies in itertools.islice(itertools.cycle(points), SHARE):
        if not doomed(world, calls, operation, number, broker.process.pid if broker_dies else 0):
            continue
        what = f"{operation}, killed on entering {calls.hits()[0]}"
        if broker.process.running:  # what the worker did not finish is undone; verified blobs wait for the next start
            assert world.state() in (before, after), what
            spared += 1
            broker.stop()
        else:
            killed += 1
        done += recovered(world, operation, before, after, what)
    print(f"{operation}: killed {killed} times at one of {len(numbers)} calls, {done} of them after the fact; {spared} times the worker or shim")
    assert killed + spared > 0


@pytest.mark.parametrize("operations", GROUPS, ids="-".join)
def test_killed_again_while_it_recovers(make_world, calls, operations):
    world = make_world(operations, files=2)
    for operation in operations:
        kill_again_while_it_recovers(world, calls, operation)


def kill_again_while_it_recovers(world, calls, operation):
    broker = world.broker
    before, after = world.states(operation)
    made = numbered(world, calls, operation)
    broker.kill()
    with calls.counting(KINDS):
        broker.start()
    starting = calls.made
    chance = random.Random(6)
    killed = done = 0
    for _ in range(COMPOUND):
        first = chance.randint(1, made)
        if not doomed(world, calls, operation, first, broker.process.pid):
            continue
        what = f"{operation}, killed on entering {calls.hits()[0]}"
        second = chance.randint(1, starting)
        with calls.killing(KINDS, second):
            if not start_disturbed(broker):
                killed += 1
            else:
                broker.kill()
        done += recovered(world, operation, before, after, f"{what}, then in its start on entering {calls.hits()}")
    print(f"{operation}: {killed} kills during recovery, {done} of them after the fact")
