"""What is measured. A Work starts its proxies, lets them take turns for several rounds, and turns medians into rows."""

import contextlib
import os
import statistics
import sys
import time

from . import accounting, proxies
from .rows import PeerRow, Target

PARSERS = ("haproxy", "nginx")  # they do the same work as brokerd; the others only copy bytes
EVERYBODY = (*PARSERS, "socket-proxyd", "relay")
GIB = 1 << 30


class Bench:
    """The settings of a run and what its works share."""

    def __init__(self, place, build, options, cores=os.cpu_count()):
        self.place, self.build, self.peers, self.scale, self.cores = place, build, options.peers, options.scale, cores
        self.rounds = options.rounds
        # On one core the proxy, on another the client and the plugin: who wakes up where is then the same for all.
        self.proxy_cpus, self.driver_cpus = ({0}, {1}) if cores > 1 else (None, None)
        self.driver = None
        self._started = 0

    def start(self, stack, name, work, **settings):
        """Starts a proxy, which ends with the stack; None where this peer is not wanted or cannot do it."""
        kind = proxies.PEERS.get(name, proxies.Brokerd)
        if name not in ("brokerd", *self.peers) or work.endpoint not in kind.endpoints or kind.missing():
            return None
        if kind in (proxies.Relay, proxies.Brokerd):
            settings["build"] = self.build
        self._started += 1
        place = self.place / "run" / str(self._started)
        place.mkdir()
        cpus = settings.pop("cpus", self.proxy_cpus)
        with accounting.on_cpus(cpus):
            return stack.enter_context(kind(place, self.driver, work.endpoint, work.traffic, work.connections, **settings))


class Work:
    """One name in the table. `peers` are those that take part beside brokerd; `traffic` is as in proxies.py."""

    traffic = "calls"
    rivals = PARSERS

    def __init__(self, name, title, endpoint="unix", peers=EVERYBODY, connections=1):
        self.name, self.title, self.endpoint, self.peers, self.connections = name, title, endpoint, peers, connections

    def sample(self, bench, proxy):
        """One round of one proxy: a dictionary of numbers."""
        raise NotImplementedError

    def rows(self, samples, troubles):
        raise NotImplementedError

    def start(self, bench, stack, troubles):
        running = {}
        for name in ("brokerd", *self.peers):
            try:
                proxy = bench.start(stack, name, self)
            except (OSError, RuntimeError) as error:  # one peer's trouble must not hide the others
                troubles[name] = str(error)
                continue
            if proxy:
                running[name] = proxy
        return running

    def measure(self, bench):
        samples, troubles = {}, {}
        with contextlib.ExitStack() as stack:
            running = self.start(bench, stack, troubles)
            for number in range(self.rounds(bench)):
                names = [name for name in running if name not in troubles]
                turn = number % max(1, len(names))
                for name in names[turn:] + names[:turn]:
                    try:
                        samples.setdefault(name, []).append(self.sample(bench, running[name]))
                    except (OSError, RuntimeError) as error:
                        troubles[name] = str(error)
                        samples.pop(name, None)
        for name, trouble in troubles.items():
            print(f"{self.name}: {name}: {trouble}", file=sys.stderr)
        return self.rows(samples, troubles)

    def rounds(self, bench):
        return bench.rounds

    def row(self, samples, troubles, what, unit, key, *, title=None, combine=statistics.median, **more):
        figures = {name: combine([sample[key] for sample in taken]) for name, taken in samples.items()}
        return PeerRow(title or "", what, unit, figures, troubles=troubles, rivals=self.rivals, **more)


def timed_call(bench, proxy, **settings):
    """One run of the driver through the proxy; its result with the proxy's CPU time per request."""
    pids = proxy.pids
    before = accounting.cpu_ns(pids)
    result = bench.driver.command("run", proxy.fronts, **settings)
    result["cpu_us"] = (accounting.cpu_ns(pids) - before) / 1e3 / max(1, result["all"])
    return result


class Calls(Work):
    """Closed-loop calls. `targets`: what → Target."""

    WINDOW_MS, WARM_UP_MS = 400, 100
    ROWS = (("CPU per call", "µs", "cpu_us", False), ("calls/s", "/s", "rate", True), ("p50", "µs", "p50_us", False),
            ("p99", "µs", "p99_us", False), ("p99.9", "µs", "p999_us", False))

    def __init__(self, name, title, connections, targets=None, body=20, answer=200, churn=False, **more):
        super().__init__(name, title, connections=connections, **more)
        self.targets = targets or {}
        self.traffic = "calls" if max(body, answer) < 16_384 else "bodies"
        self._settings = {"connections": connections, "body": body, "answer": answer, "path": f"/VolumeDriver.Get{answer}",
                          "churn": int(churn)}

    def sample(self, bench, proxy):
        for patience in (1, 8, 64):  # a busy machine may answer nothing within a very short run
            result = timed_call(bench, proxy, ms=max(20, round(self.WINDOW_MS * bench.scale)) * patience,
                                warm_up_ms=max(10, round(self.WARM_UP_MS * bench.scale)), **self._settings)
            if result["measured"]:
                break
        else:
            raise RuntimeError("not one answer within the time")
        result["rate"] = result["measured"] / result["seconds"]
        return result

    def rows(self, samples, troubles):
        return [self.row(samples, troubles, what, unit, key, title=self.title if number == 0 else None,
                         target=self.targets.get(what), more_is_better=more)
                for number, (what, unit, key, more) in enumerate(self.ROWS)]


class Threads(Calls):
    """brokerd with two proxy threads, and with one as its own peer. Nobody is bound to a core here."""

    rivals = ("one thread",)

    ROWS = (("calls/s", "/s", "rate", True), ("calls per CPU second", "/s", "per_cpu", True))

    def __init__(self, name, title, connections):
        super().__init__(name, title, connections, peers=("one thread",))

    def start(self, bench, stack, troubles):
        # Two threads, the driver and the kernel's own work: with fewer cores the machine sets the limit, not brokerd.
        self.targets = {"calls per CPU second": Target(0.85, ("one thread",))}
        if bench.cores >= 4:
            self.targets = {"calls/s": Target(1.7, ("one thread",))}
        every = set(range(bench.cores))
        running = {name: bench.start(stack, "brokerd", self, threads=threads, cpus=every)
                   for name, threads in (("brokerd", 2), ("one thread", 1))}
        return {name: proxy for name, proxy in running.items() if proxy}

    def sample(self, bench, proxy):
        result = super().sample(bench, proxy)
        result["per_cpu"] = 1e6 / result["cpu_us"]
        return result


class Stream(Work):
    """One body of a GiB. The best of all peers is the bar, also of those that only copy."""

    traffic = "streams"

    def __init__(self, name, title, down, **more):
        super().__init__(name, title, **more)
        self._down = down

    def rounds(self, bench):
        return (bench.rounds + 1) // 2

    def sample(self, bench, proxy):
        size = max(1 << 20, round(GIB * min(1, bench.scale)))
        settings = {"answer": size, "path": f"/VolumeDriver.Get{size}"} if self._down else {"body": size}
        growth = {}
        with accounting.peak_growth(proxy.pids, growth):
            result = timed_call(bench, proxy, requests=1, **settings)
        return {"mb_per_s": size / 1e6 / result["seconds"], "cpu_s": result["cpu_us"] / 1e6 * GIB / size, **growth}

    def rows(self, samples, troubles):
        return [self.row(samples, troubles, "throughput", "MB/s", "mb_per_s", title=self.title, target=Target(1.0, self.peers),
                         more_is_better=True),
                self.row(samples, troubles, "CPU per GiB", "s", "cpu_s"),
                self.row(samples, troubles, "peak memory grows", "KiB", "growth_kib", combine=max, target=Target(1024))]


class Idle(Work):
    """Connections that wait, after one call each or (`silent`) without any. One round, on fresh proxies."""

    CONNECTIONS = 10_000

    def __init__(self, name, title, silent, target):
        super().__init__(name, title, peers=PARSERS, connections=self.CONNECTIONS)
        self._silent, self._target = silent, target

    def rounds(self, bench):
        return 1

    def sample(self, bench, proxy):
        bench.driver.command("run", proxy.fronts, connections=16, requests=2000)  # whatever is made once is made now
        pids, count = proxy.pids, max(100, round(self.CONNECTIONS * min(1, bench.scale)))
        files, before = accounting.open_files(pids), accounting.pss_mb(pids)
        bench.driver.command("hold", proxy.fronts, connections=count, silent=int(self._silent))
        try:
            deadline = time.monotonic() + 20
            while accounting.open_files(pids) < files + count - 64:  # 64: what calls before may have left to be closed
                if time.monotonic() > deadline:
                    raise RuntimeError(f"accepted only {accounting.open_files(pids) - files} of {count} connections")
                time.sleep(0.05)
            time.sleep(0.5)
            growth = accounting.pss_mb(pids) - before
        finally:
            bench.driver.command("release")
        return {"growth_mb": growth * self.CONNECTIONS / count, "per_connection": growth * 1e6 / count}

    def rows(self, samples, troubles):
        return [self.row(samples, troubles, "memory grows", "MB", "growth_mb", title=self.title, target=self._target),
                self.row(samples, troubles, "per connection", "B", "per_connection")]


def _all():
    cpu_and_rate = {"CPU per call": Target(0.65, PARSERS), "calls/s": Target(1.25, PARSERS)}
    p99 = {"p99": Target(1.0, PARSERS)}
    for connections, targets in ((1, {}), (16, p99), (64, cpu_and_rate), (256, {})):
        yield Calls(f"unix-{connections}", f"Unix, {connections} conn., 20/200 B", connections, targets)
    for endpoint in ("tcp", "tls"):
        for connections, targets in ((16, p99), (64, {})):
            yield Calls(f"{endpoint}-{connections}", f"{endpoint.upper()}, {connections} conn., 20/200 B", connections, targets,
                        endpoint=endpoint)
    for title, size in (("16 KB", 16_384), ("1 MB", 1 << 20)):
        yield Calls(f"body-{title.replace(' ', '').lower()}", f"Unix, 16 conn., {title} both ways", 16, body=size, answer=size)
    yield Calls("churn", "Unix, 16 conn., a new one per call", 16, churn=True)
    for endpoint in ("unix", "tls"):
        for down in (False, True):
            way = "down" if down else "up"
            yield Stream(f"{way}-{endpoint}", f"1 GiB {way}, {endpoint.title() if endpoint == 'unix' else 'TLS'}", down,
                         endpoint=endpoint)
    yield Idle("idle", "10 000 idle connections", False, Target(0.6, ("haproxy",)))
    yield Idle("idle-silent", "10 000 that never called", True, None)
    for connections in (64, 256):
        yield Threads(f"threads-{connections}", f"two proxy threads, {connections} conn.", connections)


ALL = {work.name: work for work in _all()}
