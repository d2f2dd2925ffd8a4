"""Everything at once for a quarter of an hour: what brokerd takes of the host stays where it was.

BROKERD_SOAK_SECONDS says for how long (a minute; 900 for the figure). A long run with fewer calls than MIN_RATE tells nothing, and
fails for it."""

import collections
import contextlib
import dataclasses
import os
import pathlib
import re
import time

import pytest
from harness.busy_plugin import BusyPlugin
from harness.docker_commands import Docker
from harness.engines import DOCKER
from harness.managed import assert_verified, succeed
from harness.plugins import free_port
from harness.remains import Figures, Remains, assert_state_clean
from harness.running import SAMPLE, enable_sample, make_sample
from harness.soak import PATIENCE, Actor, Caller, Files, Followers, Killer, Looker, Operator, Reloader
from harness.waiting import wait_until
from test_tls import client_tls, server_tls

SECONDS = float(os.environ.get("BROKERD_SOAK_SECONDS", "60"))
#: From then on memory counts: before, caches fill and threads come into being.
WARM = 180
#: RELIABILITY.md, row 16.
MIN_RATE = 100
MAX_GROWTH_KIB = 1024
SAMPLE_EVERY = 5
#: So many looks, a second apart, that find the same.
STAYS = 12

pytestmark = pytest.mark.long


@dataclasses.dataclass
class Sample:
    seconds: float
    rss: int  # KiB, as are the next two
    pss: int
    private: int
    descriptors: int
    threads: int
    children: int
    calls: int


def memory_of(pid):
    """Rss, Pss and what is private, in KiB."""
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return sizes["Rss"], sizes["Pss"], sizes["Private_Clean"] + sizes["Private_Dirty"]


def children_of(pid):
    return [child for task in pathlib.Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text(encoding="ascii").split()]


def slope(points):
    """Of the straight line through these (x, y) with the least squares."""
    middle_x, middle_y = (sum(values) / len(points) for values in zip(*points))
    return (sum((x - middle_x) * (y - middle_y) for x, y in points) / sum((x - middle_x) ** 2 for x, _y in points))


def idle_connections(broker):
    """To plugins, kept for the next call: at rest at most one for each plugin and thread, and which have one is chance."""
    page = broker.get("/broker/v1/metrics").body.decode()
    return sum(int(count) for count in re.findall(r"(?m)^brokerd_plugin_idle_upstream_connections\{.*\} (\d+)$", page))


def kinds_of_descriptors(broker):
    """For messages."""
    kinds = collections.Counter()
    for path in pathlib.Path(f"/proc/{broker.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            kinds[os.readlink(path).partition(":[")[0]] += 1
    return dict(kinds)


class Rest:
    """What there is when nobody does anything."""

    def __init__(self, broker, remains):
        self.figures = Figures(broker, remains)
        self.figures.descriptors -= idle_connections(broker)
        self.kinds = kinds_of_descriptors(broker)
        self.children = len(children_of(broker.process.pid))
        self.unfinished = sorted(str(path) for directory in ("plugins/tmp", "blobs/tmp") for path in (broker.state / directory).iterdir())
        self.plugins = sorted(broker.plugins())

    def differs(self, other):
        found = self.figures.more_than(other.figures)
        if found:
            found.append(f"{self.kinds}, then {other.kinds}")
        return found + [f"{key}: {vars(self)[key]}" for key in ("children", "unfinished", "plugins") if vars(self)[key] != vars(other)[key]]


class Soak:
    """A broker with plugins of each kind, and the actors."""

    def __init__(self, broker, directory, registry, closing, mobyfs, certificates):
        self.broker = broker
        for place in ("unix", "tcp"):
            (directory / place).mkdir()
        unix = closing.add(BusyPlugin(directory / "unix", f"unix://{directory}/unix.sock"))
        self.crashing = closing.add(BusyPlugin(directory / "tcp", f"tcp://127.0.0.1:{free_port()}"))
        secure = mobyfs(**server_tls(certificates))
        broker.define("unix", unix.url)
        broker.define("tcp", self.crashing.url)
        broker.define_json("tls", secure.url, client_tls(certificates))
        for name in ("unix", "tcp", "tls"):
            broker.wait_state(name, "active", 30)
        enable_sample(broker, "soak/steady")
        enable_sample(broker, "soak/killed")
        image = f"{registry.host}/soak/image"
        for tag in (1, 2):
            succeed(broker.pluginctl("create", f"{image}:{tag}", make_sample(directory / f"image{tag}", files={"etc/version": b"%d" % tag})))
            succeed(broker.pluginctl("push", f"{image}:{tag}"))
            succeed(broker.pluginctl("rm", f"{image}:{tag}"))
        self.files = Files(broker, [f"file{number}" for number in range(20)], [unix.url, f"unix://{directory}/nobody.sock"])
        self.operators = [Operator(broker, image, f"soak/life{number}") for number in range(2)]
        self.docker = Docker(DOCKER, broker.control, directory / "client")

    def crash(self):
        """From the main thread: a plugin ends with the thread that has started it."""
        self.crashing.kill()
        self.crashing.start()

    def start(self):
        broker, say = self.broker, b"200"
        followers = Followers(broker, "soak/steady")
        self.callers = [Caller(broker, "unix", "VolumeDriver.Say", say, 50), Caller(broker, "unix", "VolumeDriver.Say", b"150000", 5),
                        Caller(broker, "tcp", "VolumeDriver.Say", say, 50, killed=True), Caller(broker, "tls", "VolumeDriver.List", {}, 15),
                        Caller(broker, "soak/steady", "VolumeDriver.List", {}, 30),
                        Caller(broker, "soak/killed", "VolumeDriver.List", {}, 10, killed=True)]
        self.reloader = Actor(broker, 4, Reloader(broker).reload)
        self.actors = [*self.callers, Actor(broker, 15, Killer(broker, "soak/killed").kill),
                       Actor(broker, 0.2, self.files.change), Actor(broker, 1, Looker(broker, self.docker, "soak/steady").look),
                       self.reloader, Actor(broker, 0.5, followers.watch_events),
                       Actor(broker, 1, followers.follow_logs), Actor(broker, 0.5, followers.lease), Actor(broker, 0.5, followers.break_off),
                       *(Actor(broker, 2, operator.live) for operator in self.operators)]
        for actor in self.actors:
            actor.start()

    def calls(self):
        return sum(caller.done for caller in self.callers)

    def sample(self, begin):
        pid = self.broker.process.pid
        return Sample(time.monotonic() - begin, *memory_of(pid), self.broker.descriptors(), len(os.listdir(f"/proc/{pid}/task")),
                      len(children_of(pid)), self.calls())

    def run(self, seconds):
        """Returns a sample for each few seconds."""
        self.start()
        begin, samples = time.monotonic(), []
        try:
            while time.monotonic() - begin < seconds:
                time.sleep(SAMPLE_EVERY)
                self.crash()
                samples.append(self.sample(begin))
                print(samples[-1], flush=True)
        finally:
            for actor in self.actors:
                actor.over.set()
            for actor in self.actors:
                actor.stop()
        return samples

    def reloads(self):
        return self.reloader.done

    def problems(self):
        return [problem for actor in self.actors for problem in actor.problems]

    def rest(self, remains):
        """Returns once nothing is on the way any more."""
        self.files.remove_all()
        (self.broker.directory / "brokerd.conf").write_text("")
        for name in ("tcp", "soak/killed:latest"):
            wait_until(lambda name=name: self.broker.plugin(name)["State"] in ("active", "running"), f"{name} that is up", PATIENCE, 0.1)
        wait_until(lambda: len(self.broker.plugins()) == 5, lambda: f"five plugins: {sorted(self.broker.plugins())}", PATIENCE, 0.1)
        remains.note()


@pytest.fixture
def soaking(broker, directory, registry, closing, mobyfs, certificates):
    assert SAMPLE.exists(), f"{SAMPLE} does not exist"
    broker = broker(threads=2, extra=["--live-restore=false"], timeout=10)
    quiet = [part for part in broker.command() if str(part) not in ("--log-level", "debug")]
    broker.command = lambda: quiet
    broker.start()
    yield Soak(broker, directory, registry, closing, mobyfs, certificates)
    if broker.process.running:
        for name in ("soak/steady", "soak/killed", "soak/life0", "soak/life1"):
            broker.pluginctl("rm", "-f", name, timeout=PATIENCE)


def settled(broker, remains):
    """What there is once it stays: what rests is closed after ten seconds, some of it in turn."""
    seen = []

    def stays():
        seen.append(Rest(broker, remains))
        return len(seen) > STAYS and not any(seen[-1].differs(earlier) for earlier in seen[-STAYS:])
    wait_until(stays, lambda: f"rest: {seen[-1].figures}", PATIENCE, 1)
    return seen[-1]


def report(samples, calls, seconds, lines, events):
    """Prints the figures; returns what memory grew by from the moment that all was warm, in KiB, by the straight line of least squares."""
    warm = [sample for sample in samples if sample.seconds >= min(WARM, SECONDS / 3)]
    growth = {name: slope([(sample.seconds, getattr(sample, name)) for sample in warm]) * (warm[-1].seconds - warm[0].seconds)
              for name in ("rss", "pss", "private")}
    print(f"{seconds:.0f} s, {calls} calls ({calls / seconds:.0f} a second), {events} events, {lines} lines in the log")
    for name in ("rss", "pss", "private", "descriptors", "threads", "children"):
        values = [getattr(sample, name) for sample in warm]
        told = f", by least squares {growth[name]:+.0f}" if name in growth else ""
        print(f"{name}: {values[0]} at first, {values[-1]} at last, {min(values)} to {max(values)}{told}")
    return growth


def test_nothing_grows(soaking):
    broker, remains = soaking.broker, Remains(soaking.broker)
    soaking.run(min(SECONDS / 3, 20))  # once, so that all that is made once is there
    soaking.rest(remains)
    before = settled(broker, remains)
    told, first_line = broker.events(), len(broker.process.output().splitlines())
    before.figures.descriptors += 1  # this connection
    begin = time.monotonic()
    samples = soaking.run(SECONDS)
    seconds = time.monotonic() - begin
    soaking.rest(remains)
    wait_until(lambda: not Rest(broker, remains).differs(before), lambda: f"what it was: {Rest(broker, remains).differs(before)}", PATIENCE, 1)
    print(f"at rest before: {before.figures}\nat rest after:  {Rest(broker, remains).figures}")
    events = told.count()
    lines = broker.process.output().splitlines()[first_line:]
    growth = report(samples, soaking.calls(), seconds, len(lines), events)
    for actor in soaking.actors:
        print(f"{actor.name}: {actor.done} {dict(getattr(actor, 'statuses', {}))}")
    assert soaking.problems() == []
    assert len(lines) <= events + soaking.reloads(), "more than a line for each event"
    assert_verified(broker)
    assert_state_clean(broker)
    if SECONDS > WARM:
        assert soaking.calls() / seconds >= MIN_RATE, "this run tells nothing"
        assert growth["rss"] <= MAX_GROWTH_KIB  # what is private, and a share of, rises with each fork for its moment
