#!/usr/bin/python3
"""Judges a proxy's HTTP/1.1 framing: `run.py --proxy brokerd|haproxy|nginx|reference`; README.md explains it."""

import argparse
import collections
import json
import multiprocessing
import pathlib
import random
import shutil
import signal
import socket
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import corpus  # noqa: E402
import mutations  # noqa: E402
import scenarios  # noqa: E402
from cases import Accepted, CutShort, Response  # noqa: E402
from client import Conversation  # noqa: E402
from judge import Check, Lane  # noqa: E402
from proxies import PROXIES  # noqa: E402
from recorder import Recorder  # noqa: E402
from verdicts import ANSWERS, RECEIVED, REQUESTS  # noqa: E402

KINDS = (REQUESTS, RECEIVED, ANSWERS)
SCENARIOS = {**scenarios.SCENARIOS, **mutations.scenarios()}
TCP_ROW = "over TCP (all groups)"


def variants_of(case):
    if isinstance(case, Response):
        return case.variants
    if isinstance(case, CutShort):
        return ("whole", "bytewise") if case.wire else ("whole",)
    every = ("every-cut",) if isinstance(case, Accepted) and case.every_cut else ()
    return ("whole", "bytewise", "split", *every)


def tasks_for(only, skips):
    """(transport, case number or scenario name, variant), the slow ones spread out; the same order every time."""
    chosen = [(number, case) for number, case in enumerate(corpus.CASES)
              if case.group not in skips and (not only or any(o in case.name or o == case.group for o in only))]
    tasks = [("unix", number, variant) for number, case in chosen for variant in variants_of(case)]
    tasks += [("tcp", number, "whole") for number, case in chosen]
    tasks += [(transport, name, "") for name in SCENARIOS for transport in ("unix", "tcp") if not only
            or name in only]
    random.Random(1).shuffle(tasks)
    return tasks


class Worker(multiprocessing.Process):
    """Owns one recorder for each transport, and runs tasks until it takes a None."""

    def __init__(self, number, listeners, options, tasks, results):
        super().__init__(daemon=True)
        self.number, self.listeners, self.options, self.tasks, self.results = number, listeners, options, tasks, results

    def run(self):
        sys.setswitchinterval(0.0005)
        lanes = {}
        for transport, (listener, path) in self.listeners.items():
            prefix = b"%s%02d-" % (transport[:1].encode(), self.number)
            lanes[transport] = Lane(path, Recorder([listener]), prefix, self.options["json_errors"],
                    self.options["patience"])
        while (task := self.tasks.get()) is not None:
            transport, what, variant = task
            started = time.monotonic()
            try:
                checks = self.perform(lanes[transport], what, variant)
            except Exception as error:  # a fault of the suite, never silent
                name = what if isinstance(what, str) else corpus.CASES[what].name
                checks = [Check(REQUESTS, "suite", name, variant, "", "no exception", repr(error), "")]
            self.results.put((transport, time.monotonic() - started, checks))
        for transport, lane in lanes.items():
            self.results.put((transport, 0.0, final_checks(lane)))
        self.results.put(None)

    def perform(self, lane, what, variant):
        if isinstance(what, str):
            return SCENARIOS[what](lane)
        case = corpus.CASES[what]
        if variant != "every-cut":
            return lane.run(case, variant)
        runs = [lane.run(case, "cut-%d" % at) for at in range(1, len(case.wire))]
        merged = runs[0]
        for index, check in enumerate(merged):
            bad = [run[index] for run in runs if not run[index].good]
            check.variant = variant
            check.got = "; ".join("%s: %s" % (one.variant, one.got) for one in bad[:3])
        return merged


def final_checks(lane):
    late = lane.late_arrivals()
    checks = [Check(RECEIVED, "whole run", "nothing-arrives-late", "", "RFC 9112 11.2",
            "nothing of a refused request, ever", "; ".join(late[:3]), "")]
    greetings = [entry for entry in lane.recorder.seen if entry.handshake]
    faulty = [entry.brief() for entry in greetings if entry.violation or not entry.complete
            or entry.message.method != b"POST"]
    if greetings:
        checks.append(Check(RECEIVED, "whole run", "handshake", "", "RFC 9112 3, 5, 6", "strict HTTP/1.1",
                "; ".join(faulty), ""))
    return checks


def open_listeners(directory, workers):
    """One Unix and one TCP listener for each worker, and the lanes for the proxy."""
    listeners, lanes = [], {}
    for number in range(workers):
        path = "%s/u%d" % (directory, number)
        unix, tcp = socket.socket(socket.AF_UNIX), socket.socket()
        unix.bind(path)
        tcp.bind(("127.0.0.1", 0))
        unix.listen(512)
        tcp.listen(512)
        lanes["unix%d" % number], lanes["tcp%d" % number] = ("unix", path), ("tcp", tcp.getsockname()[1])
        listeners.append({"unix": unix, "tcp": tcp})
    return listeners, lanes


def wait_until_served(path, seconds=30):
    """A proxy is up when a call on `path` is answered with 200."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            talk = Conversation(path, deadline - time.monotonic())
        except OSError:
            time.sleep(0.02)
            continue
        talk.expect(b"GET")
        talk.send([b"GET /VolumeDriver.Up HTTP/1.1\r\nHost: plugin\r\n\r\n"])
        talk.read_answers(1)
        talk.close()
        if talk.finals and talk.finals[0].status == 200:
            return
        time.sleep(0.02)
    raise SystemExit("no answer on %s within %d s" % (path, seconds))


def judge(proxy_class, only=None, workers=4, patience=4.0):
    """Runs everything; returns the list of (transport, seconds, checks) and the proxy's last words."""
    directory = tempfile.mkdtemp(prefix="b.", dir="/tmp")
    try:
        listeners, lanes = open_listeners(directory, workers)
        proxy = proxy_class(directory, lanes)
        queue, results = multiprocessing.Queue(), multiprocessing.Queue()
        options = {"json_errors": proxy_class.json_errors, "patience": patience}
        crew = [Worker(n, {t: (listener, proxy.socket_path("%s%d" % (t, n))) for t, listener in listeners[n].items()},
                options, queue, results)
                for n in range(workers)]
        for worker in crew:
            worker.start()
        with proxy:
            for name in lanes:
                wait_until_served(proxy.socket_path(name))
            for task in [*tasks_for(only, proxy.skips), *[None] * workers]:
                queue.put(task)
            outcome = collect(results, workers)
            outcome.append(("unix", 0.0,
                    [Check(REQUESTS, "whole run", "proxy-alive", "", "RELIABILITY.md 2.3", "still running",
                                                "" if proxy.alive() else "exited with %s" % proxy.process.poll(), "")]))
        for worker in crew:
            worker.join(5)
        return outcome, proxy.log.read_text(errors="replace")[-3000:]
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def collect(results, workers):
    outcome, ended = [], 0
    while ended < workers:
        item = results.get(timeout=120)
        if item is None:
            ended += 1
        else:
            outcome.append(item)
    return outcome


def table(outcome):
    """Passed and failed by group and kind, as lines."""
    counts = collections.defaultdict(lambda: collections.defaultdict(lambda: [0, 0]))
    for transport, _, checks in outcome:
        for check in checks:
            row = TCP_ROW if transport == "tcp" else check.group
            counts[row][check.kind][0 if check.good else 1] += 1
            counts["all"][check.kind][0 if check.good else 1] += 1
    order = list(dict.fromkeys(case.group for case in corpus.CASES))
    order += sorted(set(counts) - set(order) - {TCP_ROW, "all"}) + [TCP_ROW, "all"]
    lines = ["%-38s" % "group" + "".join("%22s" % kind for kind in KINDS)]
    for row in order:
        if row in counts:
            cells = ["%d passed %3d failed" % tuple(counts[row][kind]) if sum(counts[row][kind]) else "-" for kind
                    in KINDS]
            lines.append("%-38s" % row + "".join("%22s" % cell for cell in cells))
    return lines


def failures(outcome):
    return [(transport, check) for transport, _, checks in outcome for check in checks if not check.good]


def print_failures(failed, limit):
    names = collections.OrderedDict()
    for transport, check in sorted(failed, key=lambda item: (item[1].group, item[1].name)):
        names.setdefault((check.group, check.name, check.kind), []).append((transport, check))
    for (group, name, kind), items in list(names.items())[:limit]:
        check = items[0][1]
        print("\nFAILED %s / %s [%s; %s]" % (group, name, kind, ", ".join("%s %s" % (t, c.variant) for t, c in items)))
        print("  rule      %s\n  expected  %s\n  got       %s\n  sent      %s" % (check.rule, check.expected,
                check.got[:600], check.wire))
    if len(names) > limit:
        print("\n... and %d more (--failures N shows N)" % (len(names) - limit))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--proxy", choices=sorted(PROXIES), default="brokerd")
    parser.add_argument("--only", action="append", help="cases whose name contains this, or of this group (repeatable)")
    parser.add_argument("--list", action="store_true", help="list the cases and end")
    parser.add_argument("--self-check", action="store_true",
            help="try the suite itself: a strict proxy, then faulty ones")
    parser.add_argument("--failures", type=int, default=20, metavar="N", help="how many failures to print in full")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--patience", type=float, default=4.0, metavar="SECONDS",
            help="silence for this long is a failure")
    parser.add_argument("--json", metavar="FILE", help="write every failure there")
    options = parser.parse_args()
    if options.list:
        for case in corpus.CASES:
            print("%-34s %-28s %s" % (case.name, case.group, case.rule))
        return 0
    if options.self_check:
        import selfcheck
        return selfcheck.main(judge, failures, table)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the proxy and its directory go too
    started = time.monotonic()
    outcome, words = judge(PROXIES[options.proxy], options.only, options.workers, options.patience)
    failed = failures(outcome)
    print_failures(failed, options.failures)
    if failed and words:
        print("\nthe proxy's log ends:\n" + words)
    print("\n%s: HTTP/1.1 framing, %.1f s\n" % (options.proxy, time.monotonic() - started))
    print("\n".join(table(outcome)))
    total = sum(len(checks) for _, _, checks in outcome)
    print("\n%d passed, %d failed" % (total - len(failed), len(failed)))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps([{"transport": t, **vars(c)} for t, c in failed], indent=1))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
