"""As many connections as descriptors allow: others do not notice, and nothing is left of them.

BROKERD_CONNECTIONS is how many each of two published sockets gets; 9750 is what 20 000 descriptors have room for."""

import contextlib
import os
import resource
import time

import pytest
from harness import unix_http
from harness.busy_plugin import BusyPlugin
from harness.crowd import Crowd
from harness.load import Quiet, latencies
from harness.waiting import median, wait_until

EACH = int(os.environ.get("BROKERD_CONNECTIONS", "1000"))
WATCHERS = 200
BEYOND = 300  # connect when all places are taken
DESCRIPTORS = min(20_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
CALLS = 600
ROUNDS = 3  # the best round counts: other work on the machine is not what is measured
#: For a connection that says nothing.
KIB_EACH = 4
#: Descriptors of connections to plugins, which come and go.
SPARE = 8
#: For what the allocator keeps, whatever there was before.
SPARE_KIB = 4096


def time_of_ls(*brokers):
    """Seconds that `pluginctl ls` takes at each of them, one after the other in turn; medians."""
    times = [[] for _ in brokers]
    for _ in range(15):
        for broker, seen in zip(brokers, times):
            begin = time.perf_counter()
            assert broker.pluginctl("ls").returncode == 0
            seen.append(time.perf_counter() - begin)
    return [median(seen) for seen in times]


def shares(measure):
    """How the one compares with the other of measure(), round by round; stops once it is good."""
    seen = []
    while len(seen) < ROUNDS and (not seen or min(seen) > 1.5):
        loaded, alone = measure()
        seen.append(loaded / alone)
    return seen


def busy_share(broker, seconds=2.0):
    """How much of a processor brokerd takes."""
    before, begin = broker.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    return (broker.cpu_seconds() - before) / (time.monotonic() - begin)


@pytest.fixture
def crowded(broker, mobyfs, directory, closing):
    """A broker with three plugins, of which two are to have as many connections as they may, and a quiet one beside it."""
    other = mobyfs(f"unix://{directory}/other.sock", name="other")
    plugin = closing.add(BusyPlugin(directory, f"unix://{directory}/busy.sock"))
    made = broker(extra=["--max-connections", EACH], prefix=["prlimit", f"--nofile={DESCRIPTORS}"])
    made.define("other", other.url)
    made.define("first", plugin.url)
    made.define("second", plugin.url)
    made.start()
    for name in ("other", "first", "second"):
        made.wait_state(name, "active")
    assert broker_answers(made)
    return made, closing.add(Quiet(directory, other.url))


def broker_answers(broker):
    return [broker.call(name, "VolumeDriver.Say", b"2").status for name in ("first", "second")] == [200, 200]


def test_idle_connections_cost_others_nothing(crowded, closing, many_descriptors):
    crowded, quiet = crowded
    latencies(crowded.published("other"), CALLS)  # memory and caches are as in use
    descriptors, memory = crowded.descriptors(), crowded.memory()

    with contextlib.ExitStack() as watching:
        for _ in range(WATCHERS):
            watching.callback(crowded.events().close)
        crowds = [closing.add(Crowd(crowded.published(name), EACH)).wait_connected(120) for name in ("first", "second")]
        wait_until(lambda: crowded.descriptors() >= descriptors + 2 * EACH + WATCHERS - SPARE, "all connections", 60)
        held = crowded.memory() - memory
        beyond = closing.add(Crowd(crowded.published("first"), BEYOND)).wait_connected()
        calls = shares(lambda: quiet.p99(crowded.published("other"), CALLS))
        listings = shares(lambda: time_of_ls(crowded, quiet.broker))
        idle = busy_share(crowded)
        taken = crowded.descriptors() - descriptors
        assert taken < 2 * EACH + WATCHERS + BEYOND, "connections beyond the limit wait"
        for crowd in (*crowds, beyond):
            crowd.close()
    ended = time.monotonic()
    wait_until(lambda: crowded.descriptors() <= descriptors + SPARE, lambda: f"{descriptors} descriptors: {crowded.descriptors()}", 5)
    wait_until(lambda: crowded.memory() - memory <= SPARE_KIB, lambda: f"{memory} KiB again: {crowded.memory()}", 5)
    print(f"{taken} connections ({WATCHERS} of them watch events), {held / taken:.2f} KiB each: p99 of another plugin's calls "
          f"{', '.join(f'{share:.2f}' for share in calls)} × that of a broker without them, ls "
          f"{', '.join(f'{share:.2f}' for share in listings)} ×, processor {idle:.2%} with {BEYOND} more in the "
          f"backlog; descriptors and memory (+{crowded.memory() - memory} KiB) back after {time.monotonic() - ended:.2f} s")
    assert min(calls) <= 2 and min(listings) <= 2
    assert idle < 0.02
    assert held / taken <= KIB_EACH
    assert broker_answers(crowded)


def test_who_waits_in_the_backlog_is_served_once_there_is_room(crowded, closing):
    crowded, _quiet = crowded
    crowd = closing.add(Crowd(crowded.published("first"), EACH)).wait_connected(120)
    connection = unix_http.Connection(crowded.published("first"), timeout=60)
    connection.request("POST", "/VolumeDriver.Say", b"2")
    assert crowded.call("second", "VolumeDriver.Say", b"2").status == 200
    crowd.close()
    assert connection.getresponse().status == 200
    connection.close()
