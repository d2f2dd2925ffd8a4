"""System calls that fail, in brokerd, its workers and its shims: what was asked for is done or undone, never between.

BROKERD_FAULTS says how many calls fail for each operation; they are chosen at random from all that change the host, each
with each error, once and from then on. With 100000 that is every one of them."""

import contextlib
import errno
import os
import random
import re

import pytest
from harness import unix_http
from harness.failing_calls import EVER, OPENS, WAITS, WRITES, FailingCalls
from harness.faults import OPERATIONS, RUNNING, World, start_disturbed
from harness.managed import leftovers, state_of, succeed
from harness.waiting import wait_until

COUNT = int(os.environ.get("BROKERD_FAULTS", "2"))
#: In a long run each operation has a broker of its own.
GROUPS = [[operation] for operation in OPERATIONS] if COUNT >= 100 else [sorted(set(OPERATIONS) - set(RUNNING)), RUNNING]
ERRORS = [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENOMEM]
#: How often a call is interrupted before it is made.
INTERRUPTIONS = 10
#: After so many, no more are looked for.
MOST_PROBLEMS = 40


class Fault:
    """Calls `first` to `last` of these kinds fail with this errno."""

    def __init__(self, kinds, error, first, last):
        self.kinds, self.error, self.first, self.last = kinds, error, first, last

    def injected(self, calls):
        return calls.failing(self.kinds, self.error, self.first, self.last)

    @property
    def lasts(self):
        return self.last == EVER

    def __str__(self):
        return f"{errno.errorcode[self.error]} at call {self.first}{' and all later ones' if self.lasts else ''}"


@pytest.fixture
def calls(directory):
    return FailingCalls(directory)


@pytest.fixture
def make_world(broker, registry, directory, closing, calls):
    """A plugin of few files: their removal is the same for each."""
    def make(running):
        host = broker(environment=calls.environment, extra=["--live-restore=false"])
        return closing.add(World(host.start(), registry, directory, files=2, running=running))
    return make


def faults_of(made, chance):
    """Some of all faults, each call with each error, once and from then on. made(kinds) is what happens undisturbed."""
    faults = [Fault(WRITES | OPENS, error, call.number, last)
              for call in made(WRITES | OPENS) for error in ERRORS for last in (call.number, EVER)]
    faults += [Fault(WRITES | OPENS | WAITS, errno.EINTR, call.number, call.number + repeated)
               for call in made(WRITES | OPENS | WAITS) if call.interruptible for repeated in (0, INTERRUPTIONS - 1)]
    chance.shuffle(faults)
    print(f"{min(COUNT, len(faults))} of {len(faults)} faults are tried")
    return faults[:COUNT]


def restart(broker):
    broker.kill()
    broker.start()


def assert_told(result, fault, hits):
    """One line: what failed, of what, and why. An interruption is nobody's business."""
    lines = result.stderr.strip().splitlines()
    assert result.returncode == 1 and len(lines) == 1, f"status {result.returncode}: {result.stderr}"
    assert fault.error != errno.EINTR and os.strerror(fault.error) in lines[0], result.stderr
    if not fault.lasts and hits[0].what.startswith("/tmp/"):  # a file of ours, and not /dev/null or /proc
        said = lines[0].partition(": ")[2]
        assert re.search("/|layer|entry", said) or os.path.basename(hits[0].what) in said, f"no file is named: {result.stderr}"


def assert_done_or_undone(world, operation, states, fault, result):
    """And that the next try works, then undoes it."""
    before, after = states
    if fault.lasts:  # nothing works before it has been started again
        restart(world.broker)
    now = state_of(world.broker)  # what still runs, or is left, is seen to later
    if result.returncode == 0 and now != after:  # copies of the inventory in a plugin's directory are repaired by the next start
        restart(world.broker)
        now = state_of(world.broker)
    undecided = fault.lasts and "could not be undone" in result.stderr
    assert now == (after if result.returncode == 0 else before) or (undecided and now == after), f"between before and after: {result.stderr}"
    if not fault.lasts and now == before:
        succeed(world.do(operation))
        assert world.state() == after
        world.undo(operation)
    restart(world.broker)  # what could not be removed, is now
    world.check(operation, before, after, "afterwards")


class Trial:
    """Faults that are tried one after another; what goes wrong is kept, so that one run tells of everything."""

    def __init__(self, calls, what):
        self.calls, self.what = calls, what
        self.injected = self.refused = 0
        self.problems = []

    @contextlib.contextmanager
    def of(self, fault, recover):
        """`recover` is called where it ends badly: it makes the state that the next fault begins with."""
        hits = self.calls.hits()
        self.injected += 1
        try:
            yield hits
        except Exception as error:  # of any assertion, and of clients that gave up
            self.problems.append(f"{self.what}, {fault}: {hits[0]}: {str(error).splitlines()[0]}")
            assert len(self.problems) < MOST_PROBLEMS, "\n".join(self.problems)
            recover()

    def end(self):
        print(f"{self.what}: {self.injected} faults, {self.refused} of them refused, {len(self.problems)} problems")
        assert not self.problems, "\n".join(self.problems)


@pytest.mark.parametrize("operations", GROUPS, ids="-".join)
def test_calls_that_fail(make_world, calls, operations):
    world = make_world(running=not set(operations).isdisjoint(RUNNING))
    for operation in operations:
        let_calls_fail(world, calls, operation)


def let_calls_fail(world, calls, operation):
    states = world.states(operation)
    trial = Trial(calls, operation)

    def recover():
        restart(world.broker)
        if world.state() == states[1]:
            world.undo(operation)

    def made(kinds):
        with calls.counting(kinds):
            succeed(world.do(operation))
        world.undo(operation)
        return calls.log()

    for fault in faults_of(made, random.Random(8)):
        with fault.injected(calls):
            result = world.do(operation)
        if not calls.disturbed:  # that call has not been made this time
            succeed(result)
            world.undo(operation)
            continue
        with trial.of(fault, recover) as hits:
            assert world.broker.process.running
            if result.returncode != 0:
                trial.refused += 1
                assert_told(result, fault, hits)
            assert_done_or_undone(world, operation, states, fault, result)
    trial.end()


def test_a_start_whose_calls_fail(make_world, calls):
    world = make_world(running=True)
    broker = world.broker
    expected = world.state()
    trial = Trial(calls, "start")

    def made(kinds):
        broker.kill()
        with calls.counting(kinds):
            broker.start()
        return calls.log()

    for fault in faults_of(made, random.Random(9)):
        broker.kill()
        with fault.injected(calls):
            ready = start_disturbed(broker)
        if not calls.disturbed:
            continue
        with trial.of(fault, lambda: restart(broker)):
            assert ready is not None or fault.lasts  # where it can say nothing, it is systemd's to give up
            if ready is False:
                trial.refused += 1
                said = broker.process.output().splitlines()[-1]
                assert fault.error != errno.EINTR and os.strerror(fault.error) in said, said
            else:
                broker.kill()
            broker.start()
            assert world.state() == expected
            assert leftovers(broker) == []
    trial.end()


def test_a_change_that_cannot_be_taken_back(make_world, calls):
    """The inventory is in its place and not on the disk for sure, and nothing works any more: the next start decides, and
    whatever it finds is whole."""
    world = make_world(running=False)
    for operation in ("install", "set", "upgrade", "rm"):
        before, after = world.states(operation)
        with calls.failing_at(WRITES | OPENS, errno.EIO, "fsync(*/state/plugins)"):
            result = world.do(operation)
        assert result.returncode == 1 and "could not be undone" in result.stderr, result.stderr
        restart(world.broker)
        assert world.check(operation, before, after, f"{operation} that could not be undone")


def test_what_stays_of_a_run_goes_with_the_next_start(make_world, calls):
    world = make_world(running=True)
    with calls.failing_at(WRITES, errno.EIO, "umount2(*/propagated-mount)"):
        succeed(world.do("disable"))
        wait_until(lambda: any(call.name == "unlinkat" for call in calls.hits()), "removal of what stays", 30)
    assert world.agreement.remains.mounts() != []
    restart(world.broker)
    world.state()
    world.undo("disable")


def test_a_socket_that_cannot_be_withdrawn_is_taken_over(make_world, calls):
    """Were its other name removed alone, nothing would prove later that the engine's is brokerd's."""
    world = make_world(running=True)
    for again in (lambda: None, lambda: restart(world.broker)):
        with calls.failing_at(WRITES, errno.EIO, "unlink(*/engine/runner:latest.sock)", once=True):
            succeed(world.do("disable"))
            wait_until(lambda: calls.disturbed, "failure", 10)
        again()
        world.undo("disable")
        world.broker.wait_state("runner:latest", "running")
        assert unix_http.listening(world.broker.engine_socket("runner:latest"))


def test_a_plugin_ends_also_where_no_descriptor_is_left(make_world, calls):
    """What waits for a plugin's end needs one; the record has been written by then."""
    world = make_world(running=True)
    before, after = world.states("disable")
    with calls.failing_at(WRITES | OPENS, errno.EMFILE, "renameat(*/brokerd.json)"):
        result = world.do("disable")
    assert result.returncode == 0, result.stderr
    restart(world.broker)
    assert world.check("disable", before, after, "disabled without a descriptor")


def test_a_shim_that_cannot_open_a_file_names_it(make_world, calls):
    world = make_world(running=True)
    for pattern in ("open(/dev/null)", "openat(*/pid)", "open(/proc/*/stat)"):
        with calls.failing_at(WRITES | OPENS, errno.ENOMEM, pattern, once=True):
            result = world.do("enable")
        said = pattern[pattern.rindex("/"):-1]
        assert result.returncode == 1 and said in result.stderr and os.strerror(errno.ENOMEM) in result.stderr, result.stderr
    succeed(world.do("enable"))
    world.undo("enable")


def test_a_start_that_cannot_be_told_of_ends(broker, calls):
    started = broker(environment=calls.environment)
    with calls.failing_at(WAITS, errno.ENOMEM, "sendmsg(*)", once=True):
        said = started.refuse()
    assert "READY" in said and os.strerror(errno.ENOMEM) in said
    started.start()
