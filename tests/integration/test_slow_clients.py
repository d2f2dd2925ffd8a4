"""Clients that send or read a byte a second, on every socket: others do not notice, and all of them are gone after a deadline.

BROKERD_SLOW_CLIENTS is how many there are of each kind; 2000 in a long run."""

import os
import time

import pytest
from harness.busy_plugin import BusyPlugin
from harness.crowd import Crowd
from harness.load import Quiet, beside
from harness.managed import succeed
from harness.waiting import percentile, wait_until

COUNT = int(os.environ.get("BROKERD_SLOW_CLIENTS", "60"))
LONG = COUNT >= 1000
DEADLINE = 60 if LONG else 4  # seconds; brokerd's settings for published sockets
CALLS = 600 if LONG else 100
PIECE = 10  # of these at a time
ROUNDS = 3
#: Of what is compared: the p99 takes many calls, and a short run has the median.
SHARE = 0.99 if LONG else 0.5
#: What a reader leaves unread: more than sockets and brokerd hold.
LARGE = 1_000_000
#: How much the others' p99 may grow, for what a clock and a busy machine add.
SPARE = 0.005
#: Descriptors that stay: eight pipes for large bodies, and a few connections to plugins.
KEPT = 24
#: Invalid definitions, so that a list of plugins is large: 1.5 MiB.
MANY = 3000


@pytest.fixture
def slow_broker(broker, mobyfs, directory, closing, many_descriptors):
    other = mobyfs(f"unix://{directory}/other.sock", name="other")
    plugin = closing.add(BusyPlugin(directory, f"unix://{directory}/busy.sock"))
    made = broker(prefix=["prlimit", "--nofile=16384"], extra=["--max-connections", 3 * COUNT + 100, "--request-timeout", DEADLINE,
                                                               "--answer-timeout", f"busy={DEADLINE}", "--unread-timeout", DEADLINE])
    made.define("other", other.url)
    made.define("busy", plugin.url)
    made.start()
    made.wait_state("other", "active")
    made.wait_state("busy", "active")
    return made, closing.add(Quiet(directory, other.url))


def there(crowds):
    """How many of each are still connected."""
    return [crowd.count - crowd.counts()["ended"] for crowd in crowds]


def is_at_rest(broker):
    """What clients send and take at once has been sent and taken."""
    before, begin = broker.cpu_seconds(), time.monotonic()
    time.sleep(0.2)
    return broker.cpu_seconds() - before < 0.3 * (time.monotonic() - begin)


def measure(broker, quiet, crowds):
    """How much longer the others' calls take than those of a quiet broker, and how long these take: the best of some rounds, while at
    least half of the slow clients are there."""
    rounds = []
    while len(rounds) < ROUNDS and not any(grown <= SPARE for grown, _ in rounds):
        loaded, own = [], []
        while len(own) < CALLS:
            piece = beside([broker.published("other"), quiet.path], PIECE)
            if min(there(crowds)) < COUNT // 2:
                break
            loaded += piece[0]
            own += piece[1]
        if len(own) < (CALLS if rounds else PIECE):
            break
        rounds.append((percentile(loaded, SHARE) - percentile(own, SHARE), percentile(own, SHARE)))
    assert rounds, "they must be there while it is measured"
    return min(rounds)


@pytest.mark.parametrize("manners", [["head"], ["body"], ["reading"]] if LONG else [["head", "body", "reading"]], ids=" ".join)
def test_slow_clients_of_a_published_socket(slow_broker, closing, manners):
    slow_broker, quiet = slow_broker
    descriptors = slow_broker.descriptors()
    crowds = [closing.add(Crowd(slow_broker.published("busy"), COUNT, manner, body=str(LARGE))) for manner in manners]
    for crowd in crowds:
        crowd.wait_connected()
    wait_until(lambda: is_at_rest(slow_broker), "the end of their beginning", DEADLINE)
    grown, alone = measure(slow_broker, quiet, crowds)
    left = there(crowds)
    wait_until(lambda: all(crowd.is_gone() for crowd in crowds), lambda: f"the end of all: {[crowd.counts() for crowd in crowds]}",
               20 * DEADLINE, 0.1)
    wait_until(lambda: slow_broker.descriptors() <= descriptors + KEPT, "descriptors as before", 20)
    print(f"{COUNT} × 1 byte/s, {', '.join(manners)}, published socket: p{SHARE * 100:.0f} of another plugin's calls {grown * 1e3:+.2f} ms beside those of a "
          f"quiet broker ({alone * 1e3:.2f} ms) while they were there ({left} in the end); all gone")
    assert grown <= SPARE
    assert slow_broker.call("busy", "VolumeDriver.Say", b"2").status == 200


#: What each kind asks the control socket for.
ASKED = {"head": "POST /plugins/nobody/set", "body": "POST /plugins/nobody/set",
         "streamed body": "POST /plugins/create?name=acme/slow", "reading": "GET /broker/v1/plugins"}


def list_times(broker, rounds=9):
    """Seconds for each of so many `pluginctl ls`, in order of size; all of them succeed."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        succeed(broker.pluginctl("ls"))
        times.append(time.perf_counter() - begin)
    return sorted(times)


@pytest.mark.long
@pytest.mark.skipif(not LONG, reason="its deadlines are a minute: BROKERD_SLOW_CLIENTS=2000")
@pytest.mark.parametrize("what", ASKED)
def test_slow_clients_of_the_control_socket(slow_broker, closing, what):
    slow_broker, quiet = slow_broker
    if what == "reading":
        for number in range(MANY):
            slow_broker.write(f"invalid{number}.spec", "nonsense " * 20)
        wait_until(lambda: len(slow_broker.plugins()) >= MANY, "all definitions", 60)
    descriptors = slow_broker.descriptors()
    alone = list_times(slow_broker)
    spent = slow_broker.cpu_seconds()
    crowd = closing.add(Crowd(slow_broker.control, COUNT, what.rpartition(" ")[2], ASKED[what]))
    crowd.wait_connected(120)
    beside_them = list_times(slow_broker)
    # More than a thousand of them do not stay for long: there is no room for them.
    left = there([crowd])[0]
    spent = slow_broker.cpu_seconds() - spent
    grown, own = min((loaded - own, own) for loaded, own in quiet.grown(slow_broker.published("other"), SPARE, CALLS, ROUNDS))
    memory = slow_broker.memory()
    wait_until(crowd.is_gone, lambda: f"the end of all: {crowd.counts()}", 180, 0.1)
    wait_until(lambda: slow_broker.descriptors() <= descriptors + KEPT, "descriptors as before", 20)
    print(f"{COUNT} × 1 byte/s, {what}, control socket: p{SHARE * 100:.0f} of another plugin's calls {grown * 1e3:+.2f} ms beside those of a quiet broker "
          f"({own * 1e3:.2f} ms); ls takes {beside_them[4]:.2f} s, {beside_them[-1]:.2f} s at most, beside {left} of them, and {alone[4]:.2f} s, "
          f"{alone[-1]:.2f} s at most, before; {spent:.2f} s of processor until then, {memory >> 10} MiB; all gone")
    assert grown <= SPARE
    assert beside_them[4] <= 3 * alone[-1]
    assert memory < 100 << 10
